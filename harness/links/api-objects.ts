/** The API's JSON: what comes in is read as Go would, what goes out has Toxiproxy's members in its order. */

import { ApiError } from './api-error.ts';
import type { Direction, Toxic } from './connection.ts';
import { BodyError, decodeFirst, type Fields, kindOf, readFields } from './go-json.ts';
import type { LinkChange } from './link-changes.ts';
import type { Proxies, ProxyRequest } from './proxies.ts';
import type { LinkProxy, NewToxic } from './proxy.ts';
import { toxicKinds } from './toxics/table.ts';
import type { Attributes, ToxicKind } from './toxics/toxic.ts';

const proxyFields: Fields = {
  name: { type: 'string', path: 'Proxy.name' },
  listen: { type: 'string', path: 'Proxy.listen' },
  upstream: { type: 'string', path: 'Proxy.upstream' },
  enabled: { type: 'bool', path: 'Proxy.enabled' },
};

const toxicFields: Fields = {
  name: { type: 'string', path: 'ToxicWrapper.name' },
  type: { type: 'string', path: 'ToxicWrapper.type' },
  stream: { type: 'string', path: 'ToxicWrapper.stream' },
  toxicity: { type: 'float32', path: 'ToxicWrapper.toxicity' },
  attributes: { type: 'object', path: 'ToxicWrapper.attributes' },
};

export interface PartialProxy {
  name?: string;
  listen?: string;
  upstream?: string;
  enabled?: boolean;
}

const readProxyValue = (value: unknown): PartialProxy => readFields(value, proxyFields, 'toxiproxy.Proxy');

/** BodyError becomes the API's 400. */
export function readingBody<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof BodyError) throw new ApiError(400, `bad request body: ${error.message}`);
    throw error;
  }
}

export const readProxy = (body: string): PartialProxy => readingBody(() => readProxyValue(decodeFirst(body)));

function required(proxy: PartialProxy, where: string): ProxyRequest {
  const { name = '', upstream = '', listen = '', enabled = true } = proxy;
  if (name === '') throw new ApiError(400, `missing required field: name${where}`);
  if (upstream === '') throw new ApiError(400, `missing required field: upstream${where}`);
  return { name, upstream, listen, enabled };
}

export const readNewProxy = (body: string): ProxyRequest => required(readProxy(body), '');

export function readPopulation(body: string): ProxyRequest[] {
  const list = readingBody(() => {
    const value = decodeFirst(body);
    if (value !== null && !Array.isArray(value)) {
      throw new BodyError(`json: cannot unmarshal ${kindOf(value)} into Go value of type []toxiproxy.Proxy`);
    }
    return ((value ?? []) as unknown[]).map(readProxyValue);
  });
  return list.map((proxy, i) => required(proxy, ` at proxy ${i + 1}`));
}

const goNames: Readonly<Record<string, string>> = {
  latency: 'LatencyToxic',
  bandwidth: 'BandwidthToxic',
  slow_close: 'SlowCloseToxic',
  timeout: 'TimeoutToxic',
  reset_peer: 'ResetToxic',
  slicer: 'SlicerToxic',
  limit_data: 'LimitDataToxic',
  noop: 'NoopToxic',
};

function readAttributes(value: unknown, kind: ToxicKind, base: Attributes): Attributes {
  const fields: Record<string, Fields[string]> = {};
  for (const name of kind.attributes) {
    fields[name] = { type: 'int64', path: `${goNames[kind.type]}.attributes.${name}` };
  }
  const given = readFields(value ?? null, fields, `toxics.${goNames[kind.type]}`) as Record<string, number>;
  return Object.fromEntries(kind.attributes.map((name) => [name, given[name] ?? base[name] ?? 0]));
}

function readToxicValue(value: unknown): NewToxic {
  const given = readFields(value, toxicFields, 'toxiproxy.ToxicWrapper');
  const streamText = (given.stream as string | undefined) ?? 'downstream';
  const direction = streamText.toLowerCase();
  if (direction !== 'upstream' && direction !== 'downstream') {
    throw new ApiError(400, 'stream was invalid, can be either upstream or downstream');
  }
  const type = (given.type as string | undefined) ?? '';
  const kind = toxicKinds.get(type);
  if (kind === undefined) throw new ApiError(400, 'invalid toxic type');
  return {
    name: (given.name as string | undefined) || `${type}_${streamText}`,
    kind,
    direction: direction as Direction,
    streamText,
    toxicity: (given.toxicity as number | undefined) ?? 1,
    attributes: readAttributes(given.attributes, kind, {}),
  };
}

export const readToxic = (body: string): NewToxic => readingBody(() => readToxicValue(decodeFirst(body)));

interface ToxicUpdate {
  attributes: Attributes;
  toxicity: number;
}

function readUpdateValue(value: unknown, toxic: Toxic): ToxicUpdate {
  const { attributes, toxicity } = toxicFields as Required<Fields>;
  const fields = { attributes: attributes!, toxicity: toxicity! };
  const given = readFields(value, fields, 'toxiproxy.ToxicWrapper');
  return {
    attributes: readAttributes(given.attributes, toxic.kind, toxic.attributes),
    toxicity: (given.toxicity as number | undefined) ?? toxic.toxicity,
  };
}

export const readToxicUpdate = (body: string, toxic: Toxic): ToxicUpdate =>
  readingBody(() => readUpdateValue(decodeFirst(body), toxic));

function readChange(entry: unknown, proxies: Proxies): LinkChange {
  if (kindOf(entry) !== 'object') throw new BodyError('a change must be an object');
  const { name, enabled = null, add = [], update = [], remove = [] } = entry as Record<string, unknown>;
  if (typeof name !== 'string') throw new BodyError('a change needs the name of a proxy');
  if (enabled !== null && typeof enabled !== 'boolean') throw new BodyError('enabled must be true or false');
  if (!Array.isArray(add)) throw new BodyError('add must be an array of toxics');
  if (!Array.isArray(update)) throw new BodyError('update must be an array of toxics');
  if (!Array.isArray(remove) || !remove.every((item) => typeof item === 'string')) {
    throw new BodyError('remove must be an array of toxic names');
  }
  const proxy = proxies.get(name);
  return {
    proxy,
    enabled,
    add: add.map(readToxicValue),
    update: update.map((value: unknown) => {
      const given = readFields(value, toxicFields, 'toxiproxy.ToxicWrapper').name;
      const toxicName = typeof given === 'string' ? given : '';
      return { name: toxicName, ...readUpdateValue(value, proxies.toxic(proxy, toxicName)) };
    }),
    remove,
  };
}

/** `POST /links`: `{"changes":[{"name","enabled"?,"add"?:[toxic],"update"?:[toxic],"remove"?:["name"]}]}`. */
export function readChanges(body: string, proxies: Proxies): LinkChange[] {
  return readingBody(() => {
    const list = (decodeFirst(body) as { changes?: unknown } | null)?.changes;
    if (!Array.isArray(list)) throw new BodyError('changes must be an array');
    return list.map((entry: unknown) => readChange(entry, proxies));
  });
}

export function toxicJson({ attributes, name, kind, streamText, toxicity }: Toxic): unknown {
  return { attributes, name, type: kind.type, stream: streamText, toxicity };
}

export function proxyJson(proxy: LinkProxy): unknown {
  const { name, listen, upstream } = proxy.settings;
  return { name, listen, upstream, enabled: proxy.enabled(), toxics: proxy.toxics().map(toxicJson) };
}

/** The superset's live view of one proxy. Bytes per stream: read, handed on, thrown away. */
export interface LinkJson {
  name: string;
  listen: string;
  upstream: string;
  enabled: boolean;
  accepted: number;
  open: number;
  dial_failures: number;
  held_bytes: number;
  bytes: Record<Direction, { taken: number; passed: number; dropped: number }>;
}

export function linkJson(proxy: LinkProxy): LinkJson {
  return {
    ...proxy.settings,
    enabled: proxy.enabled(),
    accepted: proxy.accepted(),
    open: proxy.open(),
    dial_failures: proxy.dialFailures(),
    held_bytes: proxy.heldBytes(),
    bytes: { upstream: { ...proxy.totals.upstream }, downstream: { ...proxy.totals.downstream } },
  };
}
