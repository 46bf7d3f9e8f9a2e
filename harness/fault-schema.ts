/**
 * The form of a scenario's faults and of the nodes that they pick, as JSON Schema (2020-12) and as TypeScript types. Knows keys,
 * types, ranges and defaults; whom a fault hits and when is `resolve-faults.ts`.
 */

import { name, nodeName, type Schema, seconds } from './schema-forms.ts';

export type Selector = string | string[] | { random: number; from?: string };

interface Timed {
  id?: string;
  at_s: number;
  for_s: number;
}

interface OnLinks extends Timed {
  from: Selector;
  to: Selector;
  both_ways: boolean;
  /** Of the pairs chosen, this share, drawn by the seed. */
  share: number;
}

export type ManifestFault =
  | (Timed & { kind: 'partition'; split?: 'halves' | 'thirds' | 'one'; groups?: string[][] })
  | (Timed & { kind: 'kill' | 'pause' | 'restart' | 'wipe'; nodes: Selector })
  | (Timed & { kind: 'flap'; nodes: Selector; down_s: number; up_s: number; how: 'kill' | 'links' })
  | (Timed & { kind: 'churn'; every_s: number; down_s: number; from: Selector; how: 'kill' | 'wipe' })
  | (OnLinks & { kind: 'slow'; latency_ms?: number; jitter_ms?: number; bytes_per_second?: number })
  | (OnLinks & { kind: 'cut' | 'down' | 'black-hole' })
  | (OnLinks & { kind: 'reset'; every_s?: number })
  | (OnLinks & { kind: 'slow-close'; delay_ms: number })
  | (OnLinks & { kind: 'slice'; bytes: number; delay_us: number })
  | (Timed & {
      kind: 'adversary';
      behaviour: 'flood' | 'duplicates' | 'bad-signatures' | 'garbage';
      target: Selector;
    })
  | (Timed & {
      kind: 'engine';
      ability: 'unplug' | 'memory-limit' | 'disk-full' | 'upgrade' | 'certificate';
      nodes: Selector;
      /** As `abilityOptions` has them. */
      options: Record<string, unknown>;
    });

const selector: Schema = {
  description:
    'Which nodes: `node-7`, `all`, `bootstrap`, `others` (no bootstrap nodes), the name of a group, `random` (one), a list of names, or {random: 3, from: others}.',
  anyOf: [
    { type: 'string', minLength: 1 },
    { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1 },
    {
      type: 'object',
      properties: {
        random: { type: 'integer', minimum: 1 },
        from: { type: 'string', minLength: 1 },
      },
      required: ['random'],
      additionalProperties: false,
    },
  ],
};

const timed: Schema = {
  id: { ...name, description: 'Name of this fault; default: its kind and a number.' },
  at_s: seconds('When it begins, seconds after the start of the load.'),
};
const lasting: Schema = { for_s: { ...seconds('How long it lasts.'), exclusiveMinimum: 0 } };
const lastingDefault = (value: number): Schema => ({ for_s: { ...seconds('How long.'), default: value } });
const links: Schema = {
  from: { ...selector, default: 'all' },
  to: { ...selector, default: 'all' },
  both_ways: { type: 'boolean', default: true, description: 'Also the links that the `to` nodes dial.' },
  share: {
    type: 'number',
    exclusiveMinimum: 0,
    maximum: 1,
    default: 1,
    description: 'Of the links chosen, this share, drawn by the seed.',
  },
};

function fault(kinds: readonly string[], properties: Schema, required: readonly string[] = []): Schema {
  return {
    type: 'object',
    properties: { kind: { enum: kinds }, ...timed, ...lasting, ...properties },
    required: ['kind', 'at_s', ...required],
    additionalProperties: false,
  };
}

const mebibytes = (description: string, value: number): Schema => ({
  mib: { type: 'integer', minimum: 6, maximum: 65_536, default: value, description },
});

/** What each ability of an engine takes as `options`. */
const abilityOptions: Readonly<Record<string, Schema>> = {
  unplug: {},
  'memory-limit': mebibytes('Memory in MiB, without swap.', 8),
  'disk-full': mebibytes('Size of the disk in MiB.', 16),
  upgrade: { image: { type: 'string', minLength: 1, description: 'Default: the reference node.' } },
  certificate: { as: { enum: ['replaced', 'expired'], default: 'replaced' } },
};

/** Its `options` depend on `ability`, so there is one form for each. */
const engineFault: Schema = {
  type: 'object',
  properties: { kind: { enum: ['engine'] } },
  required: ['kind', 'ability'],
  discriminator: { propertyName: 'ability' },
  oneOf: Object.entries(abilityOptions).map(([ability, properties]) =>
    fault(
      ['engine'],
      {
        ability: { const: ability },
        nodes: selector,
        options: { type: 'object', properties, additionalProperties: false, default: {} },
      },
      ['ability', 'nodes', 'for_s'],
    ),
  ),
};

/** One for each `kind`, or for several of the same form. */
export const faultSchemas: readonly Schema[] = [
  fault(
    ['partition'],
    {
      split: { enum: ['halves', 'thirds', 'one'] },
      groups: { type: 'array', minItems: 2, items: { type: 'array', items: nodeName, minItems: 1 } },
    },
    ['for_s'],
  ),
  fault(['kill', 'pause', 'wipe', 'restart'], { nodes: selector, ...lastingDefault(2) }, ['nodes']),
  fault(
    ['flap'],
    {
      nodes: selector,
      down_s: { type: 'number', exclusiveMinimum: 0, default: 2 },
      up_s: { type: 'number', exclusiveMinimum: 0, default: 3 },
      how: { enum: ['kill', 'links'], default: 'kill' },
    },
    ['nodes', 'for_s'],
  ),
  fault(
    ['churn'],
    {
      from: { ...selector, default: 'others' },
      every_s: { type: 'number', exclusiveMinimum: 0 },
      down_s: { type: 'number', exclusiveMinimum: 0, default: 3 },
      how: { enum: ['kill', 'wipe'], default: 'kill' },
    },
    ['for_s', 'every_s'],
  ),
  fault(
    ['slow'],
    {
      ...links,
      latency_ms: { type: 'integer', minimum: 0, description: 'Added one way.' },
      jitter_ms: { type: 'integer', minimum: 0, description: 'At most latency_ms.' },
      bytes_per_second: { type: 'integer', minimum: 1000 },
    },
    ['for_s'],
  ),
  fault(['cut', 'down', 'black-hole'], links, ['for_s']),
  fault(['reset'], {
    ...links,
    ...lastingDefault(0),
    every_s: { type: 'number', minimum: 0.2, description: 'Again at this pace until `for_s`.' },
  }),
  fault(['slow-close'], { ...links, delay_ms: { type: 'integer', minimum: 1 } }, ['for_s', 'delay_ms']),
  fault(
    ['slice'],
    {
      ...links,
      bytes: { type: 'integer', minimum: 1, default: 100 },
      delay_us: { type: 'integer', minimum: 0, default: 1000 },
    },
    ['for_s'],
  ),
  fault(
    ['adversary'],
    {
      behaviour: { enum: ['flood', 'duplicates', 'bad-signatures', 'garbage'] },
      target: { ...selector, default: 'random' },
    },
    ['behaviour', 'for_s'],
  ),
  engineFault,
];

/** Every word that `kind` may be, for messages. */
export const faultKinds: readonly string[] = faultSchemas.flatMap(
  (schema) => (schema as { properties: { kind: { enum: string[] } } }).properties.kind.enum,
);

/** Every word that `ability` may be, for messages. */
export const engineAbilities: readonly string[] = Object.keys(abilityOptions);
