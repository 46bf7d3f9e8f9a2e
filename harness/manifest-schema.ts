/**
 * The form of a scenario file as JSON Schema (2020-12), and the same form as TypeScript types. `docs/scenario.schema.json` is
 * this object printed; a test compares them. Knows keys, types, ranges and defaults; what they mean is `resolve.ts`, and the form of
 * its faults `fault-schema.ts`.
 */

import { faultSchemas, type ManifestFault } from './fault-schema.ts';
import { name, nodeName, type Schema, seconds } from './schema-forms.ts';

/** Names of profile §10 `parameters`. */
const parameterNames = [
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

export interface ManifestGroup {
  name: string;
  /** How many nodes, taken from the end of the list, or which. */
  count?: number;
  nodes?: string[];
  command?: string;
  image?: string;
  parameters: Record<string, number>;
}

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
            not: { required: ['command', 'image'] },
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
      description:
        'One-way delay of every link, uniform within latency_ms ± jitter_ms; jitter_ms is at most latency_ms.',
      default: {},
      properties: {
        latency_ms: { type: 'integer', minimum: 0, maximum: 10_000, default: 40 },
        jitter_ms: {
          type: 'integer',
          minimum: 0,
          maximum: 10_000,
          description: 'Default: 10, or latency_ms where that is less.',
        },
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
        oneOf: faultSchemas,
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
