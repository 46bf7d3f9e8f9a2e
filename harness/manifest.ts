/**
 * A scenario file (YAML or JSON) → `Manifest`, or one line that names the file, the line, the key and what is allowed. Owns
 * reading, checking against the schema and finding the line; knows nothing of nodes, engines or what a key means.
 */

import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from 'yaml';
import { engineAbilities, faultKinds } from './fault-schema.ts';
import { contradiction } from './manifest-contradictions.ts';
import { type Manifest, manifestSchema } from './manifest-schema.ts';
import { UsageError } from './usage-error.ts';

/** A checked file, and how to complain about a place in it. */
export interface ManifestFile {
  file: string;
  manifest: Manifest;
  /** `file:line: text` for a path of keys such as `['faults', 0, 'nodes']`. */
  complain(path: readonly (string | number)[], text: string): UsageError;
}

/** Reads and checks a scenario file. UsageError in one line for anything wrong with it. */
export function readManifest(file: string): ManifestFile {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new UsageError(
      `${file}: ${code === 'ENOENT' ? 'no such scenario file' : `cannot be read (${code})`}`,
    );
  }
  return parseManifest(textOf(bytes, file), file);
}

/** What is no text would only be quoted back at the terminal. */
function textOf(bytes: Uint8Array, file: string): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (!/(?![\t\r\n\u0085])\p{Cc}/u.test(text)) return text;
  } catch {
    // Not UTF-8.
  }
  throw new UsageError(`${file}: not a text file; a scenario is YAML or JSON in UTF-8`);
}

/** Checks the text of a scenario file; JSON is YAML. `file` is used in messages and for the default name. */
export function parseManifest(text: string, file: string): ManifestFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault !== undefined) {
    const line = lines.linePos(fault.pos[0]).line;
    const said =
      fault.code === 'MULTIPLE_DOCS'
        ? 'a second document begins here ("---"); a scenario file holds one'
        : fault.message.split('\n')[0]?.replace(/ at line.*$/, '');
    throw new UsageError(`${file}:${line}: ${said}`);
  }
  const complain = (path: readonly (string | number)[], what: string): UsageError =>
    new UsageError(`${file}:${lineOf(document, lines, path)}: ${what}`);
  const value = plainValue(document, complain);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw complain([], `a scenario is a map of keys; allowed: ${keysOf(manifestSchema).join(', ')}`);
  }
  const check = validator();
  if (!check(value)) {
    const { path, text: what } = explain(worst(check.errors ?? []), value);
    throw complain(path, what);
  }
  const manifest = value as unknown as Manifest & { $schema?: string };
  delete manifest.$schema;
  manifest.links.jitter_ms ??= Math.min(10, manifest.links.latency_ms);
  const against = contradiction(manifest);
  if (against !== null) throw complain(against.path, `${keyText(against.path)}: ${against.text}`);
  manifest.name ??= basename(file, extname(file))
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-');
  return { file, manifest, complain };
}

/** Aliases may name aliases, and a few lines of them stand for billions of values. */
const mostAliases = 100;

function plainValue(document: Document, complain: ManifestFile['complain']): unknown {
  try {
    return document.toJS({ maxAliasCount: mostAliases });
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const isBomb = /excessive alias count/i.test(error.message);
    throw complain([], isBomb ? `more than ${mostAliases} values stand for aliases (*)` : error.message);
  }
}

let compiled: ValidateFunction | null = null;

function validator(): ValidateFunction {
  compiled ??= new Ajv2020({
    allErrors: true,
    discriminator: true,
    useDefaults: true,
    verbose: true,
    strictRequired: false,
  }).compile(manifestSchema);
  return compiled;
}

/** The error to show: an unknown key before what it caused, and the innermost before those around it. */
function worst(errors: readonly ErrorObject[]): ErrorObject {
  const unknown = errors.find((error) => error.keyword === 'additionalProperties');
  if (unknown !== undefined) return unknown;
  const plain = errors.filter((error) => error.keyword !== 'anyOf' && error.keyword !== 'oneOf');
  const alternatives = errors.find((error) => error.keyword === 'anyOf');
  return alternatives ?? plain[0] ?? errors[0]!;
}

function explain(error: ErrorObject, root: object): { path: (string | number)[]; text: string } {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const params = error.params as Record<string, unknown>;
  const key = keyText(path);
  if (error.keyword === 'additionalProperties') {
    const extra = String(params.additionalProperty);
    const allowed = keysOf(error.parentSchema as Record<string, unknown>);
    const near = nearest(extra, allowed);
    const hint = near === null ? '' : ` (did you mean "${near}"?)`;
    const where = path.length === 0 ? '' : ` in ${key}`;
    return {
      path: [...path, extra],
      text: `unknown key "${extra}"${where}${hint}; allowed: ${allowed.join(', ') || 'none'}`,
    };
  }
  if (error.keyword === 'required') {
    return {
      path,
      text: `${key === '' ? 'the scenario' : key} lacks the key "${params.missingProperty}"`,
    };
  }
  if (error.keyword === 'discriminator') {
    const tag = String(params.tag);
    const [thing, words] = tag === 'kind' ? ['fault', faultKinds] : ['ability of an engine', engineAbilities];
    const word = String((at(root, path) as Record<string, unknown> | undefined)?.[tag] ?? '');
    const near = nearest(word, words);
    const hint = near === null ? '' : ` (did you mean "${near}"?)`;
    return {
      path: [...path, tag],
      text: `${keyText([...path, tag])}: "${word}" is no ${thing}${hint}; allowed: ${words.join(', ')}`,
    };
  }
  if (error.keyword === 'not') {
    const { required } = error.schema as { required: string[] };
    return { path: [...path, required.at(-1)!], text: `${key}: either ${required.join(' or ')}` };
  }
  return { path, text: `${key}: ${printed(error.data)} ${allowedText(error, params)}` };
}

function allowedText(error: ErrorObject, params: Record<string, unknown>): string {
  if (error.keyword === 'enum') {
    return `is not allowed; allowed: ${(params.allowedValues as unknown[]).join(', ')}`;
  }
  if (error.keyword === 'anyOf') {
    return 'is not allowed; allowed: a name, a list of names, or {random: number, from: name}';
  }
  if (error.keyword === 'type' && typeof error.data === 'number' && !Number.isFinite(error.data))
    return 'is no finite number';
  if (error.keyword === 'pattern') return `does not have the form ${String(params.pattern)}`;
  return error.message ?? 'is not allowed';
}

const printed = (value: unknown): string => {
  // JSON has no word for what YAML writes as .inf and .nan.
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

const keysOf = (schema: Record<string, unknown>): string[] =>
  Object.keys((schema.properties as object | undefined) ?? {}).filter((key) => key !== '$schema');

/** `faults[0].nodes` */
export function keyText(path: readonly (string | number)[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}

function at(root: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (value, part) => (value as Record<string | number, unknown> | undefined)?.[part],
    root,
  );
}

/** The line of the key that a path names, or of the nearest thing around it that exists. */
function lineOf(document: Document, lines: LineCounter, path: readonly (string | number)[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    const offset = isMap(parent)
      ? offsetOf(
          parent.items.find((pair) => isPair(pair) && isScalar(pair.key) && pair.key.value === last)?.key,
        )
      : offsetOf(document.getIn(path.slice(0, length), true));
    if (offset !== null) return lines.linePos(offset).line;
  }
  return 1;
}

const offsetOf = (node: unknown): number | null => (isNode(node) && node.range ? node.range[0] : null);

/** The allowed word at most a third of its length (rounded up) in edits away, or null. */
export function nearest(word: string, allowed: readonly string[]): string | null {
  let best: { word: string; edits: number } | null = null;
  for (const candidate of allowed) {
    const edits = editDistance(word.toLowerCase(), candidate);
    if (best === null || edits < best.edits) best = { word: candidate, edits };
  }
  if (best === null || best.edits > Math.ceil(best.word.length / 3)) return null;
  return best.word;
}

/** Insertions, deletions, substitutions and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(row[j - 1]! + 1, rows[i - 1]![j]! + 1, rows[i - 1]![j - 1]! + same);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, rows[i - 2]![j - 2]! + 1);
      row.push(cost);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
