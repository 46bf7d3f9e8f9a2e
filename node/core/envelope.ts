/**
 * The shape of an envelope (§3) and the texts that are made from it. It judges form alone: whose it is, whether it is
 * signed, fresh or known is decided by the path of a frame. Items are envelopes too.
 */
import { canonical, canonicalAround, joined, joinedWith } from './canonical.ts';
import { isSpokenVersion, isUuid } from './forms.ts';
import { isNumber, isObject, numberOf, writtenOf } from './json.ts';
import type { Json, JsonObject } from './types.ts';

/** A JSON object that passed check 2 of §3.2. Strings are as they were read; only `messageId` has a checked form. */
export interface Envelope {
  readonly object: JsonObject;
  /** Present and not null, else anything: check 3 is `versionMatches`. */
  readonly version: Json;
  readonly messageType: string;
  readonly messageId: string;
  /** Unix seconds ≥ 0, the nearest double of what was written. */
  readonly timestamp: number;
  readonly sender: {
    readonly agentId: string;
    readonly nodeId: string;
    /** Base64, form not checked. */
    readonly publicKey: string;
    readonly object: JsonObject;
  };
  readonly payload: JsonObject;
  /** Base64, form not checked: a string that is no signature is `INVALID_SIGNATURE`, not `MALFORMED` (§3.1). */
  readonly signature: string;
}

/** Check 2 of §3.2 after the JSON rules; null is `MALFORMED`. */
export function readEnvelope(value: Json): Envelope | null {
  if (!isObject(value)) return null;
  const { version, message_type, message_id, timestamp, sender, payload, signature } = value;
  if (version === undefined || version === null) return null;
  if (typeof message_type !== 'string' || !isUuid(message_id)) return null;
  if (!isNumber(timestamp)) return null;
  const seconds = numberOf(timestamp);
  if (!(seconds >= 0) || !isObject(sender)) return null;
  const { agent_id, node_id, public_key } = sender;
  if (typeof agent_id !== 'string' || typeof node_id !== 'string' || typeof public_key !== 'string')
    return null;
  if (!isObject(payload) || typeof signature !== 'string') return null;
  return {
    object: value,
    version,
    messageType: message_type,
    messageId: message_id,
    timestamp: seconds,
    sender: { agentId: agent_id, nodeId: node_id, publicKey: public_key, object: sender },
    payload,
    signature,
  };
}

/** Check 3 of §3.2: a string, `1.` and digits. */
export function versionMatches(version: Json): boolean {
  return isSpokenVersion(version);
}

/** What an envelope is worth in canonical form, at the cost of one serialisation. */
export interface EnvelopeText {
  /** Without `signature`: what was signed, and what the hash of an item is taken of. */
  readonly signing: string;
  /** With `signature`. */
  readonly whole: string;
  /** Is the payload larger than a payload may be (§3)? */
  readonly isPayloadTooLarge: boolean;
}

/** §3, in canonical form. */
export const maxPayloadBytes = 60_000;

export function envelopeText({ object, payload, signature }: Envelope): EnvelopeText {
  const around = canonicalAround(object, 'signature');
  const signing = joined(around);
  return {
    signing,
    whole: writtenOf(object) ? canonical(object) : joinedWith(around, 'signature', canonical(signature)),
    // The payload is a part of what was signed: mostly there is nothing to measure.
    isPayloadTooLarge: signing.length > maxPayloadBytes && canonicalBytes(payload) > maxPayloadBytes,
  };
}

/** Size of a value in canonical form. */
export function canonicalBytes(value: Json): number {
  return canonical(value).length;
}

/** The bytes of a canonical text. */
export function asciiBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}
