/** The `error_code`s of §6, and a refusal that carries one. Knows no message. */

export type ErrorCode =
  | 'MALFORMED'
  | 'INVALID_SIGNATURE'
  | 'IDENTITY_MISMATCH'
  | 'STALE'
  | 'UNKNOWN_TYPE'
  | 'UNKNOWN_HASH'
  | 'RATE_LIMIT'
  | 'VERSION_MISMATCH'
  | 'HANDSHAKE_REQUIRED'
  | 'TOO_MANY_PEERS'
  | 'TOO_LARGE'
  | 'UNAVAILABLE';

/** Why something was not taken: the code for the peer, a few words for the `error_message`. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly because: string;
}

export function refuse(code: ErrorCode, because: string): Refusal {
  return { code, because };
}

/** Tells a refusal from a result; results of ours have no member `because`. */
export function isRefusal(value: object): value is Refusal {
  return 'because' in value;
}
