/**
 * The images of this tool, made without a registry: the reference node from the running Node binary, and Toxiproxy from its
 * official image or from a server on this machine. Each is tagged by its content, so it is made once; those of other contents
 * go. Knows nothing of networks, containers or plans.
 */

import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type Docker from 'dockerode';
import type { ReferenceNode } from '../../engine.ts';
import { UsageError } from '../../usage-error.ts';
import {
  etcEntries,
  fileEntry,
  folderEntries,
  hashOf,
  IMAGE_USER,
  libraryEntries,
  libraryPath,
} from './image-files.ts';
import {
  ending,
  engineArchitecture,
  engineRunsOurs,
  foreignImage,
  IMAGE_LABEL,
  type OurImage,
  present,
  pulled,
  removeOldImages,
} from './image-store.ts';
import { type TarEntry, tarStream } from './image-tar.ts';

export { foreignImage, IMAGE_LABEL, type OurImage, removeOldImages } from './image-store.ts';

/** The contract of a container (profile §10): the files are mounted below this folder, and this is the configuration. */
export const CONTAINER_FOLDER = '/cle';
export const CONTAINER_CONFIG = `${CONTAINER_FOLDER}/cle.yaml`;
export const CONTAINER_PORT = 8888;

const NODE_REPOSITORY = 'cle-testnet/node';
const TOXIPROXY_REPOSITORY = 'cle-testnet/toxiproxy';
/** Base of the node image elsewhere than Linux, where our own Node binary does not run in a container. */
const NODE_BASE = 'node:24-slim';
const TOXIPROXY_OFFICIAL = 'ghcr.io/shopify/toxiproxy:2.12.0';

/** How an image is configured, as lines of a Dockerfile. */
type Changes = readonly string[];

/** The image of the reference node as it is now. Throws UsageError where it cannot be made. */
export async function nodeImage(docker: Docker, reference: ReferenceNode): Promise<OurImage> {
  if (await engineRunsOurs(docker)) return fromThisMachine(docker, reference);
  return nodeImageOn(docker, reference, NODE_BASE);
}

/** The Node binary, its libraries and the bundle: an image of its own, in half a second. */
async function fromThisMachine(docker: Docker, reference: ReferenceNode): Promise<OurImage> {
  const startedAt = performance.now();
  const addons = readdirSync(reference.folder).filter((name) => name.endsWith('.node'));
  const libraries = await libraryEntries([
    process.execPath,
    ...addons.map((name) => join(reference.folder, name)),
  ]);
  const entries: TarEntry[] = [
    ...etcEntries,
    ...folders,
    fileEntry('/usr/local/bin/node', process.execPath, 0o755),
    ...libraries,
    ...folderEntries('/node', reference.folder),
  ];
  const changes = [...nodeChanges(reference, 'node'), ...libraryChanges(libraries)];
  const recipe = {
    repository: NODE_REPOSITORY,
    kind: 'node',
    entries,
    changes,
    from: process.execPath,
  } as const;
  return made(docker, recipe, startedAt);
}

const folders: readonly TarEntry[] = [
  { path: '/node', kind: 'folder', mode: 0o755 },
  { path: CONTAINER_FOLDER, kind: 'folder', mode: 0o755, owner: 1000 },
  { path: `${CONTAINER_FOLDER}/data`, kind: 'folder', mode: 0o755, owner: 1000 },
];

function nodeChanges(reference: ReferenceNode, kind: string): Changes {
  const [, ...rest] = reference.command;
  const argv = rest.map((part) =>
    part.startsWith(reference.folder)
      ? `/node${part.slice(reference.folder.length).replace(/\\/g, '/')}`
      : part,
  );
  return [
    `ENTRYPOINT ${JSON.stringify(['/usr/local/bin/node', ...argv])}`,
    'CMD []',
    `ENV CLE_CONFIG=${CONTAINER_CONFIG}`,
    `EXPOSE ${CONTAINER_PORT}`,
    `USER ${IMAGE_USER}`,
    `LABEL ${IMAGE_LABEL}=${kind}`,
  ];
}

/** An image to be: what is in it and how it is configured. */
interface Recipe {
  repository: string;
  /** Value of the label; images of one kind take each other's place. */
  kind: string;
  entries: readonly TarEntry[];
  changes: Changes;
  /** For people: what it is made from. */
  from: string;
}

/** Imports the image unless there is one of this content. */
async function made(docker: Docker, recipe: Recipe, startedAt: number): Promise<OurImage> {
  const { repository, entries, from } = recipe;
  const changes = recipe.changes.join('\n');
  const tag = await hashOf(entries, changes);
  const ref = `${repository}:${tag}`;
  if ((await present(docker, ref)) !== null) return kept(docker, recipe, tag, 'present');
  // The engine joins several `changes` by line ends itself, so one text with line ends is the same.
  await ending(docker, await docker.importImage(tarStream(entries), { repo: repository, tag, changes }));
  return kept(docker, recipe, tag, `made from ${from} in ${Math.round(performance.now() - startedAt)} ms`);
}

/** The image is there; the older ones of its kind go. */
async function kept(
  docker: Docker,
  { repository, kind }: Pick<Recipe, 'repository' | 'kind'>,
  tag: string,
  how: string,
): Promise<OurImage> {
  const ref = `${repository}:${tag}`;
  // Tagging it again notes that it was used now, which keeps another run from removing it as an old one.
  await docker.getImage(ref).tag({ repo: repository, tag });
  await removeOldImages(docker, kind, ref);
  return { ref, id: (await present(docker, ref))!, how };
}

/** Elsewhere than Linux, or for an engine of another architecture: the bundle on top of an image with Node. */
export async function nodeImageOn(
  docker: Docker,
  reference: ReferenceNode,
  base: string,
  image: Pick<Recipe, 'repository' | 'kind'> = { repository: NODE_REPOSITORY, kind: 'node' },
): Promise<OurImage> {
  const startedAt = performance.now();
  const architecture = await engineArchitecture(docker);
  const addons = reference.addonsFor?.('linux', architecture) ?? [];
  const replaced = new Set(addons.map(({ name }) => `/node/${name}`));
  const entries: TarEntry[] = [
    ...folders,
    ...folderEntries('/node', reference.folder).filter(({ path }) => !replaced.has(path)),
    ...addons.map(({ name, file }) => fileEntry(`/node/${name}`, file)),
  ];
  const changes = nodeChanges(reference, image.kind);
  const tag = await hashOf(entries, `${base}\n${architecture}\n${changes.join('\n')}`);
  const ref = `${image.repository}:${tag}`;
  if ((await present(docker, ref)) !== null) return kept(docker, image, tag, 'present');
  await foreignImage(docker, base);
  const context = [
    ...entries.map((entry) => ({ ...entry, path: `/files${entry.path}` })),
    dockerfileOf(base, changes),
  ];
  await ending(docker, await docker.buildImage(tarStream(context), { t: ref, rm: true, forcerm: true }));
  const how = `made from ${base} in ${Math.round(performance.now() - startedAt)} ms`;
  return kept(docker, image, tag, how);
}

function dockerfileOf(base: string, changes: Changes): TarEntry {
  const content = [`FROM ${base}`, 'COPY files/ /', ...changes, ''].join('\n');
  return { path: '/Dockerfile', kind: 'file', mode: 0o644, content };
}

/**
 * Toxiproxy: the official image if it is here, then the one made earlier of this machine's server, then the official one if it
 * can be pulled, then one made of the server. So a machine without a way out asks for the official one only once.
 */
export async function toxiproxyImage(docker: Docker): Promise<OurImage> {
  const official = await present(docker, TOXIPROXY_OFFICIAL);
  if (official !== null) return { ref: TOXIPROXY_OFFICIAL, id: official, how: 'present' };
  const startedAt = performance.now();
  const server = (await engineRunsOurs(docker)) ? toxiproxyServer() : null;
  const recipe = server === null ? null : await recipeOf(server);
  if (recipe !== null) {
    const tag = await hashOf(recipe.entries, recipe.changes.join('\n'));
    if ((await present(docker, `${recipe.repository}:${tag}`)) !== null)
      return kept(docker, recipe, tag, 'present');
  }
  try {
    await pulled(docker, TOXIPROXY_OFFICIAL);
    return { ref: TOXIPROXY_OFFICIAL, id: (await present(docker, TOXIPROXY_OFFICIAL))!, how: 'pulled' };
  } catch (error) {
    if (recipe !== null) return made(docker, recipe, startedAt);
    throw new UsageError(
      `no image of Toxiproxy: ${TOXIPROXY_OFFICIAL} cannot be pulled (${(error as Error).message}), and there is ` +
        'no toxiproxy-server on the PATH or built by ci/install-toxiproxy.sh',
    );
  }
}

async function recipeOf(server: string): Promise<Recipe> {
  const libraries = await libraryEntries([server]);
  return {
    repository: TOXIPROXY_REPOSITORY,
    kind: 'toxiproxy',
    entries: [...etcEntries, fileEntry('/toxiproxy', server, 0o755), ...libraries],
    changes: [
      'ENTRYPOINT ["/toxiproxy"]',
      'CMD ["-host=0.0.0.0"]',
      'EXPOSE 8474',
      `USER ${IMAGE_USER}`,
      `LABEL ${IMAGE_LABEL}=toxiproxy`,
      ...libraryChanges(libraries),
    ],
    from: server,
  };
}

function libraryChanges(libraries: readonly TarEntry[]): Changes {
  const path = libraryPath(libraries);
  return path === '' ? [] : [`ENV LD_LIBRARY_PATH=${path}`];
}

/** The program on the PATH, or the one that ci/install-toxiproxy.sh keeps outside the checkout. */
function toxiproxyServer(): string | null {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cle-testnet', 'bin');
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'toxiproxy-server'));
  return [...onPath, join(cache, 'toxiproxy-server-2.12.0')].find((file) => existsSync(file)) ?? null;
}
