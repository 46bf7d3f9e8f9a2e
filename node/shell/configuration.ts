/**
 * The configuration handed to a node (profile §10): a YAML file in, checked values in our units out, or one line saying
 * which key of which file is wrong and what is allowed. Owns the names, ranges and defaults of the profile; opens none of
 * the files that it names and knows no socket.
 */

import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { BootstrapNode, Parameters } from '../core/types.ts';
import { addressOf, type Endpoint, parseAddress } from './endpoint.ts';
import { parsePlainYaml } from './plain-yaml.ts';

/** A stranger's mistake in what the node was given: one line for stderr, exit code 2, nothing started. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** A checked configuration. Paths are as written; nothing was opened yet. */
export interface Configuration {
  /** What to call the source in messages: the file's path, or `configuration` for an object. */
  source: string;
  agentId: string;
  listen: Endpoint;
  advertise: string;
  keyFile: string;
  certificateFile: string;
  caFile: string;
  dataDir: string;
  bootstrap: BootstrapNode[];
  /** Dial map from name to address, consulted before DNS. */
  hosts: ReadonlyMap<string, string>;
  metrics: Endpoint | null;
  parameters: Parameters;
}

type Rule = { ours: keyof Parameters; unit: 'count' | 'seconds' | 'seconds or 0'; preset: number };

/** §10: wire name → our name, what is allowed, default (in wire units). */
const PARAMETERS: Readonly<Record<string, Rule>> = {
  fanout: { ours: 'fanout', unit: 'count', preset: 3 },
  ttl: { ours: 'ttl', unit: 'count', preset: 3 },
  cache_ttl_s: { ours: 'cacheTtlMs', unit: 'seconds', preset: 60 },
  heartbeat_interval_s: { ours: 'heartbeatIntervalMs', unit: 'seconds', preset: 30 },
  peer_timeout_s: { ours: 'peerTimeoutMs', unit: 'seconds', preset: 90 },
  anti_entropy_interval_s: { ours: 'antiEntropyIntervalMs', unit: 'seconds or 0', preset: 1 },
  checkpoint_interval_s: { ours: 'checkpointIntervalMs', unit: 'seconds or 0', preset: 60 },
  target_peers: { ours: 'targetPeers', unit: 'count', preset: 10 },
  max_peers: { ours: 'maxPeers', unit: 'count', preset: 50 },
  bucket_size: { ours: 'bucketSize', unit: 'count', preset: 20 },
  handshake_timeout_s: { ours: 'handshakeTimeoutMs', unit: 'seconds', preset: 5 },
  commits_per_minute: { ours: 'commitsPerMinute', unit: 'count', preset: 10 },
  queries_per_minute: { ours: 'queriesPerMinute', unit: 'count', preset: 30 },
  bytes_per_second: { ours: 'bytesPerSecond', unit: 'count', preset: 1_048_576 },
};

const REQUIRED = [
  'agent_id',
  'listen',
  'advertise',
  'key_file',
  'certificate_file',
  'ca_file',
  'data_dir',
  'bootstrap_nodes',
];
const OPTIONAL = ['hosts', 'metrics', 'parameters'];

/** A complaint about one key of one source; every check below throws through it. */
type Complain = (key: string, problem: string) => never;

/** The parameters of §10 with their defaults. Shape of the argument: wire names → numbers. */
function checkParameters(raw: unknown, complain: Complain): Parameters {
  const given = raw ?? {};
  if (!isMap(given)) complain('parameters', 'must be a map of names to numbers');
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(PARAMETERS, name)) {
      complain(`parameters.${name}`, `unknown; allowed are ${Object.keys(PARAMETERS).join(', ')}`);
    }
  }
  const result = {} as Parameters;
  for (const [name, rule] of Object.entries(PARAMETERS)) {
    const value = Object.hasOwn(given, name) ? given[name] : rule.preset;
    const key = `parameters.${name}`;
    if (rule.unit === 'count') {
      if (!Number.isSafeInteger(value) || (value as number) < 1)
        complain(key, 'must be an integer of at least 1');
      result[rule.ours] = value as number;
      continue;
    }
    const least =
      rule.unit === 'seconds or 0' ? 'a number of seconds, 0 or more' : 'a number of seconds above 0';
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) complain(key, `must be ${least}`);
    if (value === 0 && rule.unit === 'seconds') complain(key, `must be ${least}`);
    result[rule.ours] = (value as number) * 1000;
  }
  return result;
}

/** Reads and checks the file. Throws ConfigurationError with one line naming the file and the key. */
export async function readConfiguration(file: string): Promise<Configuration> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigurationError(
      `${file}: cannot be read: ${reasonOf(error)} (CLE_CONFIG must name a YAML file)`,
    );
  }
  return checkConfiguration(await parseYaml(file, text), file);
}

/** Checks a configuration in the shape of §10 (wire names). `source` stands in messages. */
export function checkConfiguration(raw: unknown, source = 'configuration'): Configuration {
  const complain: Complain = (key, problem) => {
    throw new ConfigurationError(oneLine(`${source}: ${key}: ${problem}`));
  };
  if (!isMap(raw)) {
    throw new ConfigurationError(`${source}: must be a map with the keys ${REQUIRED.join(', ')}`);
  }
  for (const key of Object.keys(raw)) {
    if (!REQUIRED.includes(key) && !OPTIONAL.includes(key)) {
      complain(key, `unknown key; allowed are ${[...REQUIRED, ...OPTIONAL].join(', ')}`);
    }
  }
  for (const key of REQUIRED) if (!Object.hasOwn(raw, key)) complain(key, 'is missing');
  const agentId = text(raw, 'agent_id', complain);
  if (!/^agent_[A-Za-z0-9_-]{1,64}$/.test(agentId)) {
    complain('agent_id', 'must be agent_ and 1 to 64 of A-Z a-z 0-9 _ -');
  }
  return {
    source,
    agentId,
    listen: endpoint(raw.listen, 'listen', complain),
    advertise: advertised(text(raw, 'advertise', complain), complain),
    keyFile: text(raw, 'key_file', complain),
    certificateFile: text(raw, 'certificate_file', complain),
    caFile: text(raw, 'ca_file', complain),
    dataDir: text(raw, 'data_dir', complain),
    bootstrap: bootstrapNodes(raw.bootstrap_nodes, complain),
    hosts: hostsMap(raw.hosts, complain),
    metrics:
      raw.metrics === undefined || raw.metrics === null ? null : endpoint(raw.metrics, 'metrics', complain),
    parameters: checkParameters(raw.parameters, complain),
  };
}

async function parseYaml(file: string, source: string): Promise<unknown> {
  const plain = parsePlainYaml(source);
  if (plain !== undefined) return plain;
  const { parseDocument } = await import('yaml');
  const document = parseDocument(source, { prettyErrors: true, uniqueKeys: true });
  const problem = document.errors[0];
  if (problem) {
    const line = problem.linePos?.[0].line;
    throw new ConfigurationError(
      oneLine(`${file}${line ? `:${line}` : ''}: is no valid YAML: ${problem.message.split('\n')[0]}`),
    );
  }
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new ConfigurationError(oneLine(`${file}: is no valid YAML: ${reasonOf(error)}`));
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(map: Record<string, unknown>, key: string, complain: Complain): string {
  const value = map[key];
  if (typeof value !== 'string' || value === '') complain(key, 'must be a non-empty string');
  return value as string;
}

function endpoint(value: unknown, key: string, complain: Complain): Endpoint {
  const parsed = typeof value === 'string' ? parseAddress(value) : null;
  if (!parsed || parsed.port === 0)
    complain(key, 'must be host:port with a port of 1 to 65535, IPv6 as [addr]:port');
  return parsed!;
}

function advertised(value: string, complain: Complain): string {
  const parsed = parseAddress(value);
  if (!parsed || parsed.port === 0) {
    complain('advertise', 'must be host:port with a port of 1 to 65535, IPv6 as [addr]:port');
  }
  return value;
}

function bootstrapNodes(value: unknown, complain: Complain): BootstrapNode[] {
  if (!Array.isArray(value))
    complain('bootstrap_nodes', 'must be a list of {host, port, public_key}, [] for none');
  return (value as unknown[]).map((entry, index) => {
    const key = `bootstrap_nodes[${index}]`;
    if (!isMap(entry)) return complain(key, 'must be a map {host, port, public_key}');
    for (const name of Object.keys(entry)) {
      if (!['host', 'port', 'public_key'].includes(name)) {
        complain(`${key}.${name}`, 'unknown key; allowed are host, port, public_key');
      }
    }
    const { host, port, public_key: publicKey } = entry;
    const isName = typeof host === 'string' && (/^[^\s:/@?#[\]]+$/.test(host) || isIPv6(host));
    if (!isName) {
      return complain(`${key}.host`, 'must be a host name or an IP address');
    }
    if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65_535) {
      complain(`${key}.port`, 'must be an integer of 1 to 65535');
    }
    if (typeof publicKey !== 'string' || !isKeyText(publicKey)) {
      return complain(`${key}.public_key`, 'must be the base64 of a 32-byte Ed25519 public key');
    }
    return { address: addressOf({ host: host as string, port: port as number }), publicKeyBase64: publicKey };
  });
}

function hostsMap(value: unknown, complain: Complain): Map<string, string> {
  if (value === undefined || value === null) return new Map();
  if (!isMap(value)) return complain('hosts', 'must be a map of names to addresses');
  const map = new Map<string, string>();
  for (const [name, address] of Object.entries(value)) {
    if (typeof address !== 'string' || address === '')
      complain(`hosts.${name}`, 'must be an address (without a port)');
    map.set(name, address as string);
  }
  return map;
}

function isKeyText(value: string): boolean {
  const bytes = Buffer.from(value, 'base64');
  return bytes.length === 32 && bytes.toString('base64') === value;
}

/** What the operating system or a library said, without its stack. */
export function reasonOf(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error));
}

function oneLine(message: string): string {
  return message.replaceAll(/\s*[\r\n]+\s*/g, ' ').trim();
}
