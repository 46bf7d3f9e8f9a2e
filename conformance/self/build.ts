/**
 * Turns a mutant into a program: bundles the reference node with the patches applied on the way, so that the faults are in no
 * file of the node. One bundle per content, kept in the cache folder. Also bundles the trivial nodes. Runs nothing.
 */

import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { type Mutant, type Patch, patched, patchesOf } from './mutant.ts';

/** The repository; paths of patches count from here. */
export const root = fileURLToPath(new URL('../../', import.meta.url));
/** Below node_modules, so that the bundles find the native add-ons. */
const cache = join(root, 'node_modules', '.cache', 'cle-conformance');
const external = ['sodium-native', 'classic-level', 'prom-client'];

/** The command line of a mutant (null: of the node as it is, bundled in the same way). */
export async function mutantCommand(mutant: Mutant | null): Promise<readonly string[]> {
  const patches = mutant === null ? [] : patchesOf(mutant);
  const file = await bundled('node/main.ts', mutant?.id ?? 'reference', patches);
  return [process.execPath, file];
}

/** The command line of a trivial node: one that implements nothing but `behaviour`. */
export async function trivialCommand(behaviour: string): Promise<readonly string[]> {
  return [process.execPath, await bundled('conformance/self/trivial/main.ts', 'trivial', []), behaviour];
}

async function bundled(entry: string, name: string, patches: readonly Patch[]): Promise<string> {
  mkdirSync(cache, { recursive: true });
  const applied = new Set<string>();
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external,
    define: { 'import.meta.url': '__moduleUrl' },
    banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
    write: false,
    logLevel: 'silent',
    plugins: [patching(patches, applied)],
  });
  const unused = patches.filter((patch) => !applied.has(patch.file));
  if (unused.length > 0) throw new Error(`${name}: ${unused[0]!.file} is no part of ${entry}`);
  const { text, contents } = result.outputFiles[0]!;
  const hash = createHash('sha256').update(contents).digest('hex').slice(0, 16);
  const file = join(cache, `${name}-${hash}.cjs`);
  if (!existsSync(file)) {
    removeOlder(name);
    writeWhole(file, text);
  }
  return file;
}

/** Bundles of this name from before the source changed; young ones may still be in use by another run. */
function removeOlder(name: string): void {
  for (const old of readdirSync(cache)) {
    if (!old.startsWith(`${name}-`) || old.length !== name.length + 21) continue;
    const path = join(cache, old);
    if (statSync(path).mtimeMs < Date.now() - 3_600_000) rmSync(path, { force: true });
  }
}

/** Two runs may write the same bundle at once: each writes its own file and renames it. */
function writeWhole(file: string, text: string): void {
  const part = `${file}.${process.pid}`;
  writeFileSync(part, text);
  renameSync(part, file);
}

function patching(patches: readonly Patch[], applied: Set<string>): Plugin {
  const byFile = new Map<string, Patch[]>();
  for (const patch of patches) byFile.set(patch.file, [...(byFile.get(patch.file) ?? []), patch]);
  return {
    name: 'mutant',
    setup: (bundler) => {
      bundler.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const file = relative(root, path).split(sep).join('/');
        const own = byFile.get(file);
        if (own === undefined) return undefined;
        applied.add(file);
        const contents = own.reduce((text, patch) => patched(text, patch), readFileSync(path, 'utf8'));
        return { contents, loader: 'ts' };
      });
    },
  };
}
