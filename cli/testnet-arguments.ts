/**
 * The command line of `npm run testnet`: words → what is to be done. Pure; checks form only, whether a scenario or an engine of
 * that name exists is for those who know them. UsageError in one line for anything it does not know.
 */

import type { ParseArgsConfig } from 'node:util';
import { UsageError } from '../harness/usage-error.ts';
import { readWords, text, whole } from './command-line.ts';

export const testnetUsage = `npm run testnet -- [--engine auto|process|docker] [--scenario NAME|FILE] [--nodes N] [--seed N]
                   [--command CMD | --image REF] [--mixed] [--toxiproxy URL] [--out DIR] [--keep] [--quiet]
npm run testnet -- list             the shipped scenarios
npm run testnet -- validate FILE    checks a scenario file
npm run testnet -- down             removes what killed runs left behind

CMD, or a container of the image REF, takes the place of every reference node (with --mixed of every second one) and gets
CLE_CONFIG, docs/protocol.md §10.
exit 0: pass · 1: a check failed · 2: wrong use or configuration · 3: could not be judged`;

export interface RunArguments {
  kind: 'run';
  engine: string;
  /** A shipped scenario's name or a file. */
  scenario: string;
  nodes: number | null;
  /** null: one is to be drawn, and printed. */
  seed: number | null;
  command: string | null;
  image: string | null;
  mixed: boolean;
  toxiproxy: string | null;
  /** null: a folder below `runs/`. */
  out: string | null;
  keep: boolean;
  quiet: boolean;
}

export type TestnetArguments =
  | RunArguments
  | { kind: 'help' }
  | { kind: 'list' }
  | { kind: 'validate'; file: string }
  | { kind: 'down' };

const flags = {
  engine: { type: 'string' },
  scenario: { type: 'string' },
  nodes: { type: 'string' },
  seed: { type: 'string' },
  command: { type: 'string' },
  image: { type: 'string' },
  mixed: { type: 'boolean' },
  toxiproxy: { type: 'string' },
  out: { type: 'string' },
  keep: { type: 'boolean' },
  quiet: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsConfig['options'];

const verbs = ['list', 'validate', 'down'] as const;

export function readTestnetArguments(words: readonly string[]): TestnetArguments {
  const { values, positionals } = readWords(words, flags);
  if (values.help) return { kind: 'help' };
  if (positionals.length > 0) return verbArguments(positionals, Object.keys(values));
  if (values.command !== undefined && values.image !== undefined)
    throw new UsageError('either --command CMD or --image REF');
  if (values.mixed && (values.command ?? values.image) === undefined)
    throw new UsageError('--mixed goes with --command CMD or --image REF');
  return {
    kind: 'run',
    engine: text(values.engine, '--engine') ?? 'auto',
    scenario: text(values.scenario, '--scenario') ?? 'default',
    nodes: whole(values.nodes, '--nodes', 2),
    seed: whole(values.seed, '--seed', 0),
    command: text(values.command, '--command'),
    image: text(values.image, '--image'),
    mixed: values.mixed ?? false,
    toxiproxy: apiUrl(values.toxiproxy),
    out: text(values.out, '--out'),
    keep: values.keep ?? false,
    quiet: values.quiet ?? false,
  };
}

function verbArguments([verb, ...rest]: string[], given: string[]): TestnetArguments {
  if (!verbs.some((known) => known === verb)) {
    throw new UsageError(`there is no "${verb}"; there are ${verbs.join(', ')}, and flags (--help)`);
  }
  if (given.length > 0) throw new UsageError(`${verb} takes no --${given[0]}`);
  if (verb === 'validate') {
    if (rest.length !== 1) throw new UsageError('validate takes one FILE');
    return { kind: 'validate', file: rest[0]! };
  }
  if (rest.length > 0) throw new UsageError(`${verb} takes nothing more, not "${rest[0]}"`);
  return verb === 'list' ? { kind: 'list' } : { kind: 'down' };
}

function apiUrl(value: string | undefined): string | null {
  const url = text(value, '--toxiproxy');
  if (url !== null && !(URL.canParse(url) && /^https?:/i.test(url)))
    throw new UsageError(`--toxiproxy ${url}: must be a URL such as http://127.0.0.1:8474`);
  return url;
}
