/**
 * Images as the engine holds them: is it there, pull it, wait for a build, remove those that nobody will want again. Knows
 * nothing of what is in them.
 */

import { basename } from 'node:path';
import type Docker from 'dockerode';
import { UsageError } from '../../usage-error.ts';
import { engineWords } from './connect.ts';

export interface OurImage {
  /** What containers are made from: `cle-testnet/node:<hash of its content>`. */
  ref: string;
  id: string;
  /** For people: `made from /usr/bin/node in 640 ms`, `present`. */
  how: string;
}

/** On every image we make: `node` or `toxiproxy`. Containers inherit it; what belongs to a run has labels of its own. */
export const IMAGE_LABEL = 'cle-testnet.image';

const PULL_WITHIN_MS = 120_000;
/** A pull without a sign of life for this long is given up: where there is no way out, the name may hang instead of failing. */
const PULL_SILENCE_MS = 15_000;
/** An image of another content that was asked for this lately may be another run's that has no containers yet. */
const FRESH_MS = 60_000;

/** The names that Node has for the engine's architecture. */
export async function engineArchitecture(docker: Docker): Promise<string> {
  const { Arch } = await docker.version();
  return { amd64: 'x64', arm: 'arm', arm64: 'arm64', '386': 'ia32' }[Arch] ?? Arch;
}

export async function engineRunsOurs(docker: Docker): Promise<boolean> {
  return process.platform === 'linux' && (await engineArchitecture(docker)) === process.arch;
}

/** The id of an image, or null where there is none. */
export async function present(docker: Docker, ref: string): Promise<string | null> {
  try {
    return (await docker.getImage(ref).inspect()).Id;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return null;
    throw error;
  }
}

/** The id of a stranger's image, pulled if it is not here. Throws UsageError with the engine's words where there is none. */
export async function foreignImage(docker: Docker, ref: string): Promise<OurImage> {
  const id = await presentByName(docker, ref);
  if (id !== null) return { ref, id, how: 'present' };
  try {
    await pulled(docker, ref);
  } catch (error) {
    throw new UsageError(`image ${ref} is not here and cannot be pulled: ${(error as Error).message}`);
  }
  return { ref, id: (await present(docker, ref))!, how: 'pulled' };
}

/** As `present`; UsageError where no image can be called so. */
async function presentByName(docker: Docker, ref: string): Promise<string | null> {
  // The client does not even send what no address may contain.
  if (!/^[\w./:@[\]-]+$/.test(ref))
    throw new UsageError(`image ${ref}: no name of an image; allowed: NAME[:TAG] or NAME@DIGEST`);
  try {
    return await present(docker, ref);
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 400) throw error;
    throw new UsageError(`image ${ref}: ${engineWords(error)}`);
  }
}

export async function pulled(docker: Docker, ref: string): Promise<void> {
  const giveUp = new AbortController();
  const late = (): void => giveUp.abort(new Error(`no answer from the registry of ${ref}`));
  const total = setTimeout(late, PULL_WITHIN_MS);
  let silence = setTimeout(late, PULL_SILENCE_MS);
  try {
    // Without a tag the engine would fetch all of them.
    const named = /[:@][^/]+$/.test(ref) ? ref : `${ref}:latest`;
    const stream = await docker.pull(named, { abortSignal: giveUp.signal });
    await ending(docker, stream, () => {
      clearTimeout(silence);
      silence = setTimeout(late, PULL_SILENCE_MS);
    });
  } catch (error) {
    if (giveUp.signal.aborted) throw giveUp.signal.reason;
    throw new Error(engineWords(error));
  } finally {
    clearTimeout(total);
    clearTimeout(silence);
  }
}

/** Waits for the end of a stream of progress; rejects with the error in it, if there is one. */
export function ending(docker: Docker, stream: NodeJS.ReadableStream, onProgress = () => {}): Promise<void> {
  return new Promise((resolve, reject) => {
    docker.modem.followProgress(
      stream,
      (error: Error | null) => (error === null ? resolve() : reject(error)),
      onProgress,
    );
  });
}

/**
 * Removes the images of this kind that are not `keep`; one in use stays, and so does one that was asked for a moment ago (it
 * may be another run's). With `keep` null all go: that is `down`. Resolves with the tags that are gone.
 */
export async function removeOldImages(
  docker: Docker,
  kind: string,
  keep: string | null,
  now = Date.now(),
): Promise<string[]> {
  const images = await docker.listImages({ filters: { label: [`${IMAGE_LABEL}=${kind}`] } });
  const removed: string[] = [];
  for (const { Id, RepoTags } of images) {
    const tags = (RepoTags ?? []).filter((tag) => tag !== '<none>:<none>');
    if (keep !== null && tags.includes(keep)) continue;
    // Tags of people (`docker tag`) are theirs.
    if (tags.some((tag) => !tag.startsWith('cle-testnet/'))) continue;
    if (keep !== null && tags.length > 0 && now - (await usedAt(docker, Id)) < FRESH_MS) continue;
    for (const ref of tags.length > 0 ? tags : [Id])
      if (await removedImage(docker, ref)) removed.push(tags.length > 0 ? ref : basename(Id));
  }
  return removed;
}

/** When an image was tagged the last time, Unix ms. */
async function usedAt(docker: Docker, id: string): Promise<number> {
  try {
    const { Metadata } = (await docker.getImage(id).inspect()) as { Metadata?: { LastTagTime?: string } };
    return Date.parse(Metadata?.LastTagTime ?? '') || 0;
  } catch {
    return 0;
  }
}

/** False where a container uses it, or somebody else was faster. */
async function removedImage(docker: Docker, ref: string): Promise<boolean> {
  try {
    await docker.getImage(ref).remove();
    return true;
  } catch (error) {
    const { statusCode } = error as { statusCode?: number };
    if (statusCode === 404 || statusCode === 409) return false;
    throw error;
  }
}
