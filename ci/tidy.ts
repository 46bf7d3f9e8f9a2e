/**
 * The house rules as code: which folder may import which (design, "Folders and arrows"), what the core may not call, where
 * engine names may stand, how long a file may be. Reads source as text; knows nothing of what the code does.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

/** One breach of a rule, as `file:line: what`. */
export interface Breach {
  file: string;
  line: number;
  rule: 'arrow' | 'ambient' | 'engine-name' | 'opening' | 'length' | 'focus' | 'fixme' | 'default-export';
  what: string;
}

/** Folder → folders whose files it may import (itself always included). Tests may import what they test. */
const arrows: Record<string, readonly string[]> = {
  'node/core': [],
  'node/shell': ['node/core'],
  node: ['node/core', 'node/shell'],
  harness: [],
  conformance: ['harness'],
  chaos: ['harness'],
  ci: ['harness', 'conformance', 'chaos'],
  bench: ['harness', 'chaos', 'node', 'node/core', 'node/shell'],
  cli: ['node', 'node/core', 'node/shell', 'harness', 'conformance', 'chaos', 'ci', 'bench'],
};

const ambient: readonly RegExp[] = [
  /\bDate\b\s*[.(]/,
  /\bnew Date\b/,
  /\bMath\.random\b/,
  /\bperformance\b\s*\./,
  /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b\s*\(/,
  /\bcrypto\b\s*\./,
  /\bprocess\b\s*\./,
  /\bconsole\b\s*\./,
  /\bPromise\b/,
  /\basync\b\s/,
  /\bawait\b\s/,
  /\bMath\.(?:log|exp|sin|cos|tan|pow)\b/,
];

const codeFolders = ['node', 'harness', 'conformance', 'chaos', 'ci', 'cli', 'bench'] as const;
const longestFile = 420;

/** Every TypeScript source below the code folders, as paths relative to `root`, sorted. */
export function sources(root: string): string[] {
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const name of readdirSync(folder).sort()) {
      if (name === 'node_modules' || name === 'dist' || name.startsWith('.')) continue;
      const path = join(folder, name);
      if (statSync(path).isDirectory()) walk(path);
      else if (name.endsWith('.ts') && !name.endsWith('.d.ts'))
        found.push(relative(root, path).split(sep).join('/'));
    }
  };
  for (const folder of codeFolders) walk(join(root, folder));
  return found.filter((file) => !file.startsWith('bench/libp2p/'));
}

/** The rule set's folder of a file: the longest key of `arrows` that holds it. */
function areaOf(file: string): string {
  const areas = Object.keys(arrows).filter((area) => file.startsWith(`${area}/`));
  return areas.sort((a, b) => b.length - a.length)[0] ?? '';
}

const isTest = (file: string): boolean => file.includes('/test/');

/** Checks one file's text. `file` is relative to the root, with `/`. */
export function breachesOf(file: string, text: string): Breach[] {
  const breaches: Breach[] = [];
  const lines = text.split('\n');
  const add = (line: number, rule: Breach['rule'], what: string): void => {
    breaches.push({ file, line, rule, what });
  };
  lines.forEach((line, index) => {
    const at = index + 1;
    const target = importedFile(file, line);
    if (target !== null && !isTest(file) && !allowed(file, target)) add(at, 'arrow', `imports ${target}`);
    if (/^export default\b/.test(line)) add(at, 'default-export', 'default export');
    const stripped = withoutTextAndComment(line);
    if (file.startsWith('node/core/') && !isTest(file)) {
      for (const pattern of ambient) {
        if (pattern.test(stripped)) add(at, 'ambient', `calls ${stripped.match(pattern)?.[0] ?? ''}`);
      }
    }
    if (isTest(file) && /\b(?:it|describe)\.(?:only|skip)\(/.test(stripped)) add(at, 'focus', 'only/skip');
    if (/\bFIXME\b/.test(line) && file !== 'ci/tidy.ts') add(at, 'fixme', 'unfinished work');
    if (namesAnEngine(file, line)) add(at, 'engine-name', 'names an engine');
  });
  if (!isTest(file) && !/^(?:#!.*\n)?\/\*\*/.test(text)) add(1, 'opening', 'does not open with a paragraph');
  if (lines.length > longestFile && !isTest(file)) add(lines.length, 'length', `${lines.length} lines`);
  return breaches;
}

function importedFile(file: string, line: string): string | null {
  const match = line.match(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/);
  if (match?.[1] === undefined) return null;
  return relative(resolve('/'), resolve('/', dirname(file), match[1]))
    .split(sep)
    .join('/');
}

function allowed(from: string, to: string): boolean {
  const [fromArea, toArea] = [areaOf(from), areaOf(to)];
  if (fromArea === toArea) return true;
  return (arrows[fromArea] ?? []).includes(toArea);
}

function namesAnEngine(file: string, line: string): boolean {
  if (isTest(file) || file.startsWith('harness/engines/') || file.startsWith('cli/')) return false;
  if (file.startsWith('ci/') || file.startsWith('bench/')) return false;
  return /(?:===|!==|case)\s*'(?:sim|process|docker|attach)'/.test(line);
}

/** String and template contents, line comments and comment bodies are not calls. */
function withoutTextAndComment(line: string): string {
  if (/^\s*(?:\*|\/\*)/.test(line)) return '';
  return line.replace(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`/g, "''").replace(/\/\/.*$/, '');
}

/** All breaches in the tree below `root`. */
export function tidy(root: string): Breach[] {
  return sources(root).flatMap((file) => breachesOf(file, readFileSync(join(root, file), 'utf8')));
}
