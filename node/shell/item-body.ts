/**
 * A JavaScript object as an item's payload: the library's caller writes plain values, the network wants numbers that know
 * how they are written (profile §3.1). Knows JSON, nothing of items.
 */

import { float } from '../core/json.ts';
import type { Json, JsonObject } from '../core/types.ts';

/** Throws TypeError with the path of what JSON cannot say. */
export function toItemBody(payload: Record<string, unknown>): JsonObject {
  return objectOf(payload, 'payload');
}

function objectOf(given: object, path: string): JsonObject {
  const object: JsonObject = Object.create(null);
  for (const [key, value] of Object.entries(given)) object[key] = jsonOf(value, `${path}.${key}`);
  return object;
}

function jsonOf(value: unknown, path: string): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint' || typeof value === 'string')
    return value;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${path} is ${value}, which JSON cannot say`);
    if (!Number.isInteger(value) || Object.is(value, -0)) return float(value);
    return Number.isSafeInteger(value) ? value : BigInt(value);
  }
  if (Array.isArray(value)) return value.map((entry, index) => jsonOf(entry, `${path}[${index}]`));
  if (typeof value === 'object') return objectOf(value, path);
  throw new TypeError(`${path} is of type ${typeof value}, which JSON cannot say`);
}
