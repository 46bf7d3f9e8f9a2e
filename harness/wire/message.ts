/** A received text message as tests look at it: exact, plain, and with the ids that answers are found by. */

import { isObject, type Json, type JsonObject, parse, plain } from './json.ts';

export interface Message {
  /** performance.now of its arrival (of its last byte's chunk). */
  readonly at: number;
  /** 0, 1, 2 … per connection. */
  readonly index: number;
  readonly text: string;
  /** UTF-8 bytes. */
  readonly size: number;
  /** Number forms kept; an empty object where the text was no JSON object (then `fault` says why). */
  readonly object: JsonObject;
  readonly fault: string | null;
  /** `message_type`, or empty. */
  readonly type: string;
  /** `message_id`, or empty. */
  readonly id: string;
  /** Plain JavaScript view of the payload: no number forms. */
  // biome-ignore lint/suspicious/noExplicitAny: foreign data that tests reach into
  readonly payload: any;
  /** What it answers: `payload.request_id`, in an error `payload.details.request_id`; else null. */
  readonly requestId: string | null;
  /** `error_code` of an error, else null. */
  readonly errorCode: string | null;
  /** Its signature verified with `sender.public_key` under our own codec. */
  readonly verified: boolean;
}

/** What `readMessage` finds before the signature is judged. */
export type Unjudged = Omit<Message, 'verified'>;

export function readMessage(text: string, size: number, at: number, index: number): Unjudged {
  let object: JsonObject = {};
  let fault: string | null = null;
  try {
    const value = parse(text);
    if (isObject(value)) object = value;
    else fault = 'the message is no JSON object';
  } catch (error) {
    fault = error instanceof Error ? error.message : String(error);
  }
  const body: Json = object.payload ?? null;
  const errorDetails = isObject(body) ? body.details : undefined;
  const isError = object.message_type === 'error';
  const answered = isError
    ? isObject(errorDetails)
      ? errorDetails.request_id
      : undefined
    : isObject(body)
      ? body.request_id
      : undefined;
  let view: unknown;
  return {
    at,
    index,
    text,
    size,
    object,
    fault,
    type: typeof object.message_type === 'string' ? object.message_type : '',
    id: typeof object.message_id === 'string' ? object.message_id : '',
    get payload() {
      view ??= plain(body);
      return view;
    },
    requestId: typeof answered === 'string' ? answered : null,
    errorCode: isError && isObject(body) && typeof body.error_code === 'string' ? body.error_code : null,
  };
}

/** Which messages are meant: a `message_type`, `error:CODE`, `gossip:TYPE`, or any predicate. */
export type Matcher = string | ((message: Message) => boolean);

export function matches(matcher: Matcher, message: Message): boolean {
  if (typeof matcher !== 'string') return matcher(message);
  const [type, detail] = matcher.split(':', 2);
  if (message.type !== type) return false;
  if (detail === undefined) return true;
  return type === 'error' ? message.errorCode === detail : message.payload?.gossip_type === detail;
}
