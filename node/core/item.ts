/**
 * When an item is valid (§6): "iff all of this holds, and nothing else may be a reason to refuse it from whomever it
 * comes", because a replicated set needs one membership test. The same rules serve items that their author brings on its
 * own connection and items that others relay; they differ only in what was proved before and in the order of the errors.
 */
import { decodeBase64 } from './base64.ts';
import { type CertificateCache, provesAt } from './certificate.ts';
import { asciiBytes, type Envelope, type EnvelopeText, envelopeText, readEnvelope } from './envelope.ts';
import { type Refusal, refuse } from './error-code.ts';
import { isRuleHash, isSpokenVersion } from './forms.ts';
import { isInteger, isNumber, isObject, numberOf } from './json.ts';
import type { ItemType, Json, JsonObject, World } from './types.ts';

export const maxItemBytes = 32_768;
/** Counting objects and arrays, the item itself being 1; inside a response it starts at 4, so that 32 holds there. */
export const maxItemDepth = 28;

/** A valid item. Its strings are slices of the frame it came in: `kept` what is to stay. */
export interface Item {
  /** 64 hex digits, without `rule_`. */
  readonly hash: string;
  readonly type: ItemType;
  readonly object: JsonObject;
  /** Canonical form with `signature`: what is stored and handed on. */
  readonly bytes: Uint8Array;
  /** Unix seconds, the nearest double of what was written. */
  readonly timestamp: number;
  readonly agentId: string;
  readonly nodeId: string;
  readonly payload: JsonObject;
  readonly certificateBase64: string;
}

/** What judging items needs. `verified` is told of each signature that was checked (for the counter). */
export interface ItemRules {
  readonly certificates: CertificateCache;
  readonly world: Pick<World, 'verify' | 'sha256'>;
  readonly verified?: (good: boolean) => void;
}

export function isItemType(messageType: string): messageType is ItemType {
  return messageType === 'commit' || messageType === 'challenge' || messageType === 'confirm';
}

/** The 64 digits of the hash of an item, valid or not: SHA-256 of its signing bytes (§6). */
export function itemHashOf(text: EnvelopeText, sha256: World['sha256']): string {
  return sha256(text.signing);
}

/**
 * All the rules of §6, for an item that somebody relays. `value` came out of `parse`, so the JSON rules hold.
 * `signatureKnownGood`: this very envelope was verified before (e.g. it is read back from the own store). `isWanted` is
 * asked before the signature is looked at, so that a body that is there already costs no verification; no is `UNKNOWN_HASH`.
 */
export function readItem(
  value: Json,
  rules: ItemRules,
  signatureKnownGood = false,
  isWanted: (hash: string) => boolean = () => true,
): Item | Refusal {
  const envelope = readEnvelope(value);
  if (!envelope) return refuse('MALFORMED', 'item is no envelope');
  if (!isSpokenVersion(envelope.version)) return refuse('MALFORMED', 'version of the item');
  if (!isItemType(envelope.messageType)) return refuse('MALFORMED', 'not a commit, challenge or confirm');
  const text = envelopeText(envelope);
  const refusal = refusedBody(envelope, text);
  if (refusal) return refusal;
  if (!isWanted(itemHashOf(text, rules.world.sha256))) return refuse('UNKNOWN_HASH', 'not asked for');
  const item = provenItem(envelope, text, rules);
  if ('because' in item || signatureKnownGood) return item;
  const publicKey = decodeBase64(envelope.sender.publicKey, 32);
  const signature = decodeBase64(envelope.signature, 64);
  if (!publicKey || !signature) return refuse('INVALID_SIGNATURE', 'signature of the item is not in form');
  const good = rules.world.verify(publicKey, asciiBytes(text.signing), signature);
  rules.verified?.(good);
  return good ? item : refuse('INVALID_SIGNATURE', 'signature of the item');
}

/**
 * Check 11 for a commit, challenge or confirm on its author's own connection: checks 1–6 have proved key, node id and
 * signature. "More than 32 768 bytes `TOO_LARGE`; depth, members, no `certificate` string: `MALFORMED`; a certificate that
 * does not prove the author: `INVALID_SIGNATURE`", in this order.
 */
export function checkOwnedItem(envelope: Envelope, text: EnvelopeText, rules: ItemRules): Item | Refusal {
  return refusedBody(envelope, text) ?? provenItem(envelope, text, rules);
}

/** Size, depth and members; null if there is nothing to refuse. */
function refusedBody(envelope: Envelope, text: EnvelopeText): Refusal | null {
  if (text.whole.length > maxItemBytes) return refuse('TOO_LARGE', `item of more than ${maxItemBytes} bytes`);
  if (!isWithinDepth(envelope.object, maxItemDepth)) return refuse('MALFORMED', 'item nested too deeply');
  const wrong = wrongMember(envelope.messageType as ItemType, envelope.payload);
  if (wrong !== null) return refuse('MALFORMED', `${wrong} of the ${envelope.messageType}`);
  if (typeof envelope.sender.object.certificate !== 'string') {
    return refuse('MALFORMED', 'sender.certificate is no string');
  }
  return null;
}

/** The item, if the author's certificate proves key and agent at the item's timestamp. */
function provenItem(envelope: Envelope, text: EnvelopeText, rules: ItemRules): Item | Refusal {
  const { sender } = envelope;
  const certificateBase64 = sender.object.certificate as string;
  const certificate = rules.certificates.prove(certificateBase64);
  if (
    !certificate ||
    certificate.publicKeyBase64 !== sender.publicKey ||
    certificate.nodeId !== sender.nodeId ||
    certificate.agentId !== sender.agentId ||
    !provesAt(certificate, envelope.timestamp)
  ) {
    return refuse('INVALID_SIGNATURE', 'certificate does not prove the author');
  }
  return {
    hash: itemHashOf(text, rules.world.sha256),
    type: envelope.messageType as ItemType,
    object: envelope.object,
    bytes: asciiBytes(text.whole),
    timestamp: envelope.timestamp,
    agentId: sender.agentId,
    nodeId: sender.nodeId,
    payload: envelope.payload,
    certificateBase64,
  };
}

/** Depth counts objects and arrays (§2). */
function isWithinDepth(value: Json, depth: number): boolean {
  if (Array.isArray(value)) return depth > 0 && value.every((entry) => isWithinDepth(entry, depth - 1));
  if (!isObject(value)) return true;
  if (depth === 0) return false;
  for (const key in value) if (!isWithinDepth(value[key]!, depth - 1)) return false;
  return true;
}

/** The first member of a body that is not as §6 says, or null. */
function wrongMember(type: ItemType, payload: JsonObject): string | null {
  switch (type) {
    case 'commit':
      if (!isRuleHash(payload.rule_hash)) return 'rule_hash';
      if (typeof payload.logic_signature !== 'string') return 'logic_signature';
      if (typeof payload.context_signature !== 'string') return 'context_signature';
      if (!isWithin(payload.confidence, 0, 1)) return 'confidence';
      if (!isCount(payload.evidence_count)) return 'evidence_count';
      return isObject(payload.metadata) ? null : 'metadata';
    case 'challenge': {
      if (!isRuleHash(payload.target_rule_hash)) return 'target_rule_hash';
      const rule = payload.contradicting_rule;
      if (!isObject(rule)) return 'contradicting_rule';
      if (typeof rule.logic_form !== 'string') return 'contradicting_rule.logic_form';
      if (typeof rule.context !== 'string') return 'contradicting_rule.context';
      if (typeof payload.reason !== 'string') return 'reason';
      return isStringArray(payload.evidence) ? null : 'evidence';
    }
    case 'confirm':
      if (!isRuleHash(payload.rule_hash)) return 'rule_hash';
      if (!isWithin(payload.confidence_delta, -1, 1)) return 'confidence_delta';
      return isCount(payload.additional_evidence) ? null : 'additional_evidence';
  }
}

function isWithin(value: Json | undefined, least: number, greatest: number): boolean {
  if (!isNumber(value)) return false;
  const number = numberOf(value);
  return number >= least && number <= greatest;
}

/** An integer token of 0 … 2^53 − 1. Larger ones were read as bigint. */
function isCount(value: Json | undefined): boolean {
  return isInteger(value) && typeof value === 'number' && value >= 0;
}

function isStringArray(value: Json | undefined): boolean {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}
