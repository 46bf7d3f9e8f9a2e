/**
 * The form of a scenario file as JSON Schema (2020-12), and the same form as TypeScript types. `docs/scenario.schema.json` is
 * this object printed; a test compares them. Knows keys, types, ranges and defaults; what they mean is `resolve.ts`.
 */

/** Names of profile §10 `parameters`. */
export const parameterNames = [
  'fanout',
  'ttl',
  'cache_ttl_s',
  'heartbeat_interval_s',
  'peer_timeout_s',
  'anti_entropy_interval_s',
  'checkpoint_interval_s',
  'target_peers',
  'max_peers',
  'bucket_size',
  'handshake_timeout_s',
  'commits_per_minute',
  'queries_per_minute',
  'bytes_per_second',
] as const;

/** Parameters of which 0 means "off" (profile §10); all others are above 0. */
const mayBeZero = new Set<string>(['anti_entropy_interval_s', 'checkpoint_interval_s']);

export type Selector = string | string[] | { random: number; from?: string };

export interface ManifestGroup {
  name: string;
  /** How many nodes, taken from the end of the list, or which. */
  count?: number;
  nodes?: string[];
  command?: string;
  image?: string;
  parameters: Record<string, number>;
}

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
      options: Record<string, unknown>;
    });

/** A scenario file with its defaults filled in; keys as in the file. */
export interface Manifest {
  name: string;
  description: string;
  nodes: {
    count: number;
    bootstrap: number;
    start_interval_ms: number;
    parameters: Record<string, number>;
    groups: ManifestGroup[];
  };
  links: { latency_ms: number; jitter_ms: number };
  load: { commits_per_second: number; payload_bytes: number };
  duration_s: number;
  settle_s: number;
  late_joiners: { at_s: number; count: number }[];
  faults: ManifestFault[];
  expect: {
    discovery_ms: number;
    convergence_ms: number;
    sync_ms: number;
    message_latency_p95_ms: number;
    max_peers: number;
  };
}

type Schema = Record<string, unknown>;

const seconds = (description: string): Schema => ({ type: 'number', minimum: 0, maximum: 3600, description });
const nodeName = { type: 'string', pattern: '^node-[1-9][0-9]{0,4}$' };
const name = { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,39}$' };

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

const parameters: Schema = {
  type: 'object',
  description: 'Overrides of the parameters of profile §10, for all nodes or for the group.',
  properties: Object.fromEntries(
    parameterNames.map((key) => {
      const form = key.endsWith('_s')
        ? mayBeZero.has(key)
          ? { type: 'number', minimum: 0 }
          : { type: 'number', exclusiveMinimum: 0 }
        : { type: 'integer', minimum: 1 };
      return [key, form];
    }),
  ),
  additionalProperties: false,
  default: {},
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

const faults: Schema[] = [
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
      jitter_ms: { type: 'integer', minimum: 0 },
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
  fault(
    ['engine'],
    {
      ability: { enum: ['unplug', 'memory-limit', 'disk-full', 'upgrade', 'certificate'] },
      nodes: selector,
      options: { type: 'object', default: {} },
    },
    ['ability', 'nodes', 'for_s'],
  ),
];

/** Every word that `kind` may be, for messages. */
export const faultKinds: readonly string[] = faults.flatMap(
  (schema) => (schema as { properties: { kind: { enum: string[] } } }).properties.kind.enum,
);

/** JSON Schema of a scenario file. */
export const manifestSchema: Schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'CLE-Net testnet scenario',
  type: 'object',
  additionalProperties: false,
  required: ['nodes'],
  properties: {
    $schema: { type: 'string', description: 'For editors; ignored.' },
    name: { ...name, description: 'Default: the file name without its ending.' },
    description: { type: 'string', default: '' },
    nodes: {
      type: 'object',
      additionalProperties: false,
      required: ['count'],
      properties: {
        count: { type: 'integer', minimum: 2, maximum: 1000, description: 'Late joiners included.' },
        bootstrap: { type: 'integer', minimum: 1, default: 3, description: 'node-1 … are bootstrap nodes.' },
        start_interval_ms: {
          type: 'integer',
          minimum: 0,
          maximum: 10_000,
          default: 0,
          description: 'Time between the starts of one node and the next; 0: all at once.',
        },
        parameters,
        groups: {
          type: 'array',
          default: [],
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['name'],
            properties: {
              name,
              count: {
                type: 'integer',
                minimum: 1,
                description: 'So many nodes, the last ones not yet taken.',
              },
              nodes: { type: 'array', items: nodeName, minItems: 1 },
              command: {
                type: 'string',
                minLength: 1,
                description: 'Started in place of the reference node.',
              },
              image: { type: 'string', minLength: 1, description: 'Container image in its place.' },
              parameters,
            },
          },
        },
      },
    },
    links: {
      type: 'object',
      additionalProperties: false,
      description: 'One-way delay of every link, uniform within latency_ms ± jitter_ms.',
      default: {},
      properties: {
        latency_ms: { type: 'integer', minimum: 0, maximum: 10_000, default: 40 },
        jitter_ms: { type: 'integer', minimum: 0, maximum: 10_000, default: 10 },
      },
    },
    load: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        commits_per_second: { type: 'number', minimum: 0, maximum: 1000, default: 2 },
        payload_bytes: { type: 'integer', minimum: 0, maximum: 20_000, default: 300 },
      },
    },
    duration_s: { ...seconds('How long the load runs.'), exclusiveMinimum: 0, default: 20 },
    settle_s: {
      ...seconds('At most so long for finding each other, and again for converging after the cures.'),
      exclusiveMinimum: 0,
      default: 30,
    },
    late_joiners: {
      type: 'array',
      default: [],
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['at_s'],
        properties: {
          at_s: seconds('When they start, seconds after the start of the load.'),
          count: { type: 'integer', minimum: 1, default: 1, description: 'The last nodes not yet taken.' },
        },
      },
    },
    faults: {
      type: 'array',
      default: [],
      items: {
        type: 'object',
        required: ['kind'],
        discriminator: { propertyName: 'kind' },
        oneOf: faults,
      },
    },
    expect: {
      type: 'object',
      additionalProperties: false,
      description: 'Targets; the defaults are those of the design, §9.',
      default: {},
      properties: {
        discovery_ms: { type: 'number', exclusiveMinimum: 0, default: 2000 },
        convergence_ms: { type: 'number', exclusiveMinimum: 0, default: 10_000 },
        sync_ms: { type: 'number', exclusiveMinimum: 0, default: 30_000 },
        message_latency_p95_ms: { type: 'number', exclusiveMinimum: 0, default: 500 },
        max_peers: { type: 'integer', minimum: 1, default: 50 },
      },
    },
  },
};
