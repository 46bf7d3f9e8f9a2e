/**
 * Envelopes (profile §3): building, signing, spoiling, and reading what arrived. Signing bytes are the canonical form
 * without the `signature` member. Knows no connection and no payload.
 */

import { randomUUID } from 'node:crypto';
import { encodeBase64 } from './base64.ts';
import { canonicalWithout } from './canonical.ts';
import { signFast } from './ed25519.ts';
import type { Identity } from './identity.ts';
import { isObject, type Json, JsonFloat, type JsonObject } from './json.ts';

/** What of an honest envelope is replaced. A value of `undefined` leaves the member out. */
export interface Overrides {
  version?: Json | undefined;
  messageType?: Json | undefined;
  messageId?: Json | undefined;
  /** Unix seconds; a plain integral number is an integer token, `float(n)` is not. Default: now, with a fraction. */
  timestamp?: Json | undefined;
  /** Replaces the whole `sender`. */
  sender?: Json | undefined;
  /** Replaces or (undefined) removes members of the honest `sender`; also adds some. */
  senderMembers?: Record<string, Json | undefined>;
  payload?: Json | undefined;
  /** Further members of the envelope, signed with it. */
  extra?: Record<string, Json>;
  /** Signs with this identity's key in place of the sender's. */
  signWith?: Pick<Identity, 'secret'>;
  /** Makes the signature (any bytes) from the signing bytes, e.g. one of `hostile-signatures.ts`. */
  signedBy?: (signingBytes: Buffer) => Uint8Array;
  /** In place of a true signature; `undefined` as an own key leaves it out. */
  signature?: Json | undefined;
}

/** Now, as Unix seconds, always with a fraction, so that it is a float token in every codec. */
export function nowSeconds(): JsonFloat {
  return new JsonFloat((Math.floor(Date.now()) + 0.25) / 1000);
}

/** Sets `to[key]` from the overrides if they name it (removal included), else to `honest`. */
function put(to: JsonObject, key: string, overrides: object, name: string, honest: () => Json): void {
  const value = Object.hasOwn(overrides, name)
    ? (overrides as Record<string, Json | undefined>)[name]
    : honest();
  if (value !== undefined) to[key] = value;
}

function senderOf(identity: Identity, members: Record<string, Json | undefined> = {}): JsonObject {
  const sender: JsonObject = {
    agent_id: identity.agentId,
    node_id: identity.nodeId,
    public_key: identity.publicKeyBase64,
  };
  for (const [key, value] of Object.entries(members)) {
    if (value === undefined) delete sender[key];
    else sender[key] = value;
  }
  return sender;
}

/** A signed envelope; honest but for the overrides, which are applied before signing. */
export function buildEnvelope(
  identity: Identity,
  messageType: string,
  payload: Json,
  overrides: Overrides = {},
): JsonObject {
  const envelope: JsonObject = {};
  put(envelope, 'version', overrides, 'version', () => '1.0');
  put(envelope, 'message_type', overrides, 'messageType', () => messageType);
  put(envelope, 'message_id', overrides, 'messageId', () => randomUUID());
  put(envelope, 'timestamp', overrides, 'timestamp', nowSeconds);
  put(envelope, 'sender', overrides, 'sender', () => senderOf(identity, overrides.senderMembers));
  put(envelope, 'payload', overrides, 'payload', () => payload);
  for (const [key, value] of Object.entries(overrides.extra ?? {})) envelope[key] = value;
  put(envelope, 'signature', overrides, 'signature', () =>
    encodeBase64(
      overrides.signedBy?.(signingBytes(envelope)) ?? signatureOver(envelope, overrides.signWith ?? identity),
    ),
  );
  return envelope;
}

/** What is signed: ASCII bytes of the canonical form without `signature`. */
export function signingBytes(envelope: JsonObject): Buffer {
  return Buffer.from(canonicalWithout(envelope, 'signature'), 'latin1');
}

export function signatureOver(envelope: JsonObject, by: Pick<Identity, 'secret'>): Uint8Array {
  return signFast(by.secret, signingBytes(envelope));
}

/** The envelope signed anew, e.g. after a change to it. */
export function resigned(envelope: JsonObject, by: Pick<Identity, 'secret'>): JsonObject {
  return { ...envelope, signature: encodeBase64(signatureOver(envelope, by)) };
}

/** Copies with the value at `path` replaced (undefined: removed) and the signature left as it was. */
export function tampered(envelope: JsonObject, path: readonly string[], value: Json | undefined): JsonObject {
  const [key, ...rest] = path;
  if (key === undefined) throw new Error('an empty path names nothing');
  const copy: JsonObject = { ...envelope };
  if (rest.length > 0) {
    const inner = copy[key];
    if (!isObject(inner)) throw new Error(`${key} is no object`);
    copy[key] = tampered(inner, rest, value);
  } else if (value === undefined) delete copy[key];
  else copy[key] = value;
  return copy;
}

/** The base64 text with one bit of the decoded bytes flipped. */
export function flippedBit(base64: string, bit = 0): string {
  const bytes = Buffer.from(base64, 'base64');
  bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7));
  return bytes.toString('base64');
}
