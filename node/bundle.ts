/**
 * Makes one self-contained folder out of the node: a bundle, V8's compiled code for it, the native add-ons beside it. Such
 * a node starts in little more than the time of an empty program. Made once per content, atomically, so that two runs at
 * once do not clash. As a program it prints `{"command":[…],"dir":…}`.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type BuildOptions, build, type Plugin } from 'esbuild';

export interface NodeBundle {
  /** The command line of the node; it takes `CLE_CONFIG` and nothing else. */
  command: string[];
  /** Everything that the command needs besides the Node binary. */
  dir: string;
  /** The add-ons of another platform, for an image that is made here and runs there: name in `dir` → file. */
  addonsFor(platform: string, arch: string): { name: string; file: string }[];
}

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

/** Bundles of other contents that nobody has used for this long are removed. */
const STALE_MS = 86_400_000;

const ADDONS = ['sodium-native', 'classic-level'] as const;

/** What a bundle starts with: runs the compiled code, or the source where Node or its flags are others. */
const LOADER = `'use strict';
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');
const filename = __dirname + '/bundle.js';
const cachedData = readFileSync(__dirname + '/bundle.cache');
const script = new Script(readFileSync(filename, 'latin1'), { filename, cachedData });
const module_ = { exports: {} };
script.runInThisContext()(require, module_, module_.exports);
module_.exports.runProgram();
`;

/** Bundles the node as it is now, or finds the bundle of exactly this content. */
export async function bundleNode(dist = join(here, '..', 'dist')): Promise<NodeBundle> {
  const texts = await bundleTexts();
  const addons = ADDONS.map((name) => ({ name, file: addonFile(name) }));
  const hash = createHash('sha256').update(JSON.stringify([texts, LOADER, process.versions, process.arch]));
  for (const { file } of addons) hash.update(file ? readFileSync(file) : 'none');
  const dir = join(dist, `node-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(dir)) {
    const now = new Date();
    utimesSync(dir, now, now);
  } else {
    await make(dist, dir, texts, addons);
    removeStale(dist, dir);
  }
  // No V8 flags: with any of them the compiled code of Node's own modules is refused, and they are compiled anew (40 ms).
  return { command: [process.execPath, join(dir, 'node.cjs')], dir, addonsFor };
}

/** The bundle, and beside it what few nodes load, in files of their own: name → text. */
async function bundleTexts(): Promise<Record<string, string>> {
  const main = `export { runProgram } from './shell/program.ts';
    export { runNode, readConfiguration } from './shell/library.ts';`;
  const [bundle, yaml, metrics] = await Promise.all([
    bundled(main, {
      banner: { js: '(function (require, module, exports) {' },
      footer: { js: '})' },
      plugins: [addonsBeside, loadedLater, neverUsed],
    }),
    bundled(`export { parseDocument } from 'yaml';`, {}),
    bundled(`export { serveMetrics } from './shell/metrics.ts';`, {}),
  ]);
  return { 'bundle.js': bundle, 'yaml.cjs': yaml, 'metrics.cjs': metrics };
}

async function bundled(contents: string, options: BuildOptions): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: here, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    // As `require`: there is no import() in a script that is run by itself.
    supported: { 'dynamic-import': false },
    // Names stay, so that the stack of a crash says something.
    // A crash prints the line it happened in.
    lineLimit: 200,
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    // ws would search the disk for add-ons that nobody installed.
    define: { 'process.env.WS_NO_BUFFER_UTIL': '"1"', 'process.env.WS_NO_UTF_8_VALIDATE': '"1"' },
    logLevel: 'silent',
    ...options,
    write: false,
  });
  return outputFiles![0]!.text;
}

/** Most nodes need neither the YAML parser (`plain-yaml.ts` reads what programs write) nor metrics. */
const loadedLater: Plugin = {
  name: 'loaded-later',
  setup(bundler) {
    bundler.onResolve({ filter: /^yaml$|\/metrics\.ts$/ }, ({ path }) => ({
      path: path === 'yaml' ? './yaml.cjs' : './metrics.cjs',
      external: true,
    }));
  },
};

/**
 * What packages load and a node has no use for, a millisecond each: ws its compression, which is off (§2); classic-level all
 * of `fs/promises` for one mkdir.
 */
const neverUsed: Plugin = {
  name: 'never-used',
  setup(bundler) {
    bundler.onResolve({ filter: /^(zlib|fs\/promises)$/ }, ({ path }) => ({ path, namespace: 'never-used' }));
    bundler.onLoad({ filter: /^zlib$/, namespace: 'never-used' }, () => ({ contents: '' }));
    bundler.onLoad({ filter: /^fs\/promises$/, namespace: 'never-used' }, () => ({
      contents: `exports.mkdir = async (path, options) => require('node:fs').mkdirSync(path, options);`,
      resolveDir: here,
    }));
  },
};

/** The packages find their binary by searching the disk; in a bundle it is the file beside it. */
const addonsBeside: Plugin = {
  name: 'addons-beside',
  setup(bundler) {
    bundler.onLoad({ filter: /[\\/](sodium-native|classic-level)[\\/]binding\.js$/ }, ({ path }) => {
      const name = path.split(/[\\/]/).at(-2)!;
      return { contents: `module.exports = require('./${name}.node');`, loader: 'js' };
    });
    bundler.onResolve({ filter: /\.node$/ }, ({ path }) => ({ path, external: true }));
  },
};

/** The prebuilt binary for this machine, or null: then the node does without (signing) or cannot start (the store). */
function addonFile(name: (typeof ADDONS)[number]): string | null {
  const folder = dirname(require.resolve(`${name}/package.json`));
  if (name === 'classic-level') {
    const fromHere = createRequire(join(folder, 'index.js'));
    return (fromHere('node-gyp-build') as { resolve(folder: string): string }).resolve(folder);
  }
  const file = join(folder, 'prebuilds', `${process.platform}-${process.arch}`, `${name}.node`);
  return existsSync(file) ? file : null;
}

/** Both packages come with the binaries of all platforms; classic-level's names end in what they were built for. */
function addonsFor(platform: string, arch: string): { name: string; file: string }[] {
  return ADDONS.flatMap((addon) => {
    const folder = join(
      dirname(require.resolve(`${addon}/package.json`)),
      'prebuilds',
      `${platform}-${arch}`,
    );
    if (!existsSync(folder)) return [];
    const file = readdirSync(folder).find((name) => name.endsWith('.node') && !name.includes('musl'));
    return file === undefined ? [] : [{ name: `${addon}.node`, file: join(folder, file) }];
  });
}

async function make(
  dist: string,
  dir: string,
  texts: Record<string, string>,
  addons: readonly { name: string; file: string | null }[],
): Promise<void> {
  const draft = join(dist, `.draft-${process.pid}-${Date.now()}`);
  mkdirSync(draft, { recursive: true });
  try {
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(draft, name), text, 'latin1');
    for (const { name, file } of addons) if (file) copyFileSync(file, join(draft, `${name}.node`));
    writeFileSync(join(draft, 'node.cjs'), LOADER);
    // The compiled code names its file, but V8 does not compare it: warmed up in the draft, used in its place.
    await promisify(execFile)(
      process.execPath,
      [join(here, 'bundle-warm-up.cjs'), draft, ...(await throwawayNodes(draft))],
      { timeout: 60_000 },
    );
    rmSync(join(draft, 'warm-up'), { recursive: true, force: true });
    renameSync(draft, dir);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Somebody else was faster with the same content.
    if (!existsSync(dir)) throw error;
  }
}

/** Configuration files of two nodes of a network made for the warm-up, below the draft. */
async function throwawayNodes(draft: string): Promise<string[]> {
  const { createThrowawayNet } = await import('./throwaway-net.ts');
  const net = await createThrowawayNet(join(draft, 'warm-up'));
  const ports = [await freePort(), await freePort()];
  const identities = [await net.issue('one'), await net.issue('two')];
  return identities.map((identity, index) => {
    const file = join(net.folder, `${index}.yaml`);
    const lines = [
      `agent_id: ${identity.agentId}`,
      `listen: 127.0.0.1:${ports[index]}`,
      `advertise: 127.0.0.1:${ports[index]}`,
      `key_file: ${JSON.stringify(identity.keyFile)}`,
      `certificate_file: ${JSON.stringify(identity.certificateFile)}`,
      `ca_file: ${JSON.stringify(identity.caFile)}`,
      `data_dir: ${JSON.stringify(join(net.folder, `data-${index}`))}`,
      ...(index === 0
        ? ['bootstrap_nodes: []']
        : [
            'bootstrap_nodes:',
            '  - host: 127.0.0.1',
            `    port: ${ports[0]}`,
            `    public_key: ${identities[0]!.publicKeyBase64}`,
          ]),
      'hosts:',
      '  nobody: 127.0.0.1',
      'parameters:',
      '  anti_entropy_interval_s: 0.1',
      '  checkpoint_interval_s: 0.5',
      '  heartbeat_interval_s: 0.2',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
  });
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function removeStale(dist: string, current: string): void {
  for (const name of readdirSync(dist)) {
    const path = join(dist, name);
    if (path === current || !/^(node-[0-9a-f]{16}|\.draft-\d+-\d+)$/.test(name)) continue;
    try {
      if (statSync(path).mtimeMs < Date.now() - STALE_MS) rmSync(path, { recursive: true, force: true });
    } catch {
      // Another run removed it at the same moment.
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  void bundleNode().then((bundle) => process.stdout.write(`${JSON.stringify(bundle)}\n`));
}
