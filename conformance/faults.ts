/**
 * Faults of a message, alone and two at a time, each with the error that it must draw: its code, its form, and the message that it
 * names. In which order the checks come is profile §3.2; no requirement is known here.
 */

import type { Connection, SendOptions } from '../harness/wire/connection.ts';
import { digestRequest, stateSyncRequest } from '../harness/wire/gossip.ts';
import { commitOfSize } from '../harness/wire/items.ts';
import { type Json, type JsonObject, readable } from '../harness/wire/json.ts';
import type { Message } from '../harness/wire/message.ts';
import type { Puppet } from './puppet.ts';
import { fail } from './requirement.ts';

/** A fault that is answered by an error: which code, and what its request_id must be. */
interface Fault {
  what: string;
  codes: readonly string[];
  /** Sends it; returns the request_id that the error must hold. */
  send: (connection: Connection) => string | null;
}

const query: JsonObject = { query_type: 'by_hash', filters: { rule_hash: 'rule_0' } };
export const weekAgo = Math.floor(Date.now() / 1_000) - 604_800.5;

/** Readable but malformed: the id is as it was read, if it can be one. */
function withId(what: string, messageId: Json | undefined, expected: string | null): Fault {
  const send = (connection: Connection): string | null => {
    connection.send('query', query, { messageId });
    return expected;
  };
  return { what, codes: ['MALFORMED'], send };
}

/** Nothing in it can name it. */
function unreadable(what: string, text: string): Fault {
  const send = (connection: Connection): null => {
    connection.sendText(text);
    return null;
  };
  return { what, codes: ['MALFORMED'], send };
}

function sent(what: string, code: string, type: string, payload: Json, options?: SendOptions): Fault {
  return { what, codes: [code], send: (connection) => connection.send(type, payload, options) };
}

const forged: SendOptions = { signature: Buffer.alloc(64, 7).toString('base64') };
const unfiltered: JsonObject = { query_type: 'by_hash' };

/** Two checks of §3.2 fail: "The first failure is reported". */
const twofoldFaults: readonly Fault[] = [
  sent('version 2.0 with null as payload', 'MALFORMED', 'query', null, { version: '2.0' }),
  sent(
    'a forged payload of 60 100 bytes',
    'TOO_LARGE',
    'query',
    { ...query, padding: 'x'.repeat(60_000) },
    forged,
  ),
  sent('a forged message of last week', 'INVALID_SIGNATURE', 'query', query, {
    ...forged,
    timestamp: weekAgo,
  }),
  sent('a forged message of an unknown type', 'INVALID_SIGNATURE', 'no_such_type', {}, forged),
  sent('an unknown message_type of last week', 'STALE', 'no_such_type', {}, { timestamp: weekAgo }),
  sent('a query without filters of last week', 'STALE', 'query', unfiltered, { timestamp: weekAgo }),
];

export function faultsOf(puppet: Puppet): readonly Fault[] {
  const author = { identity: puppet.identity, certificate: puppet.certificate };
  return [
    sent('an unknown message_type', 'UNKNOWN_TYPE', 'no_such_type', {}),
    sent('a query without filters', 'MALFORMED', 'query', { query_type: 'by_hash' }),
    sent('a gossip without members', 'MALFORMED', 'gossip', {}),
    sent('a sync_digest with a number as prefix', 'MALFORMED', 'sync_digest', {
      ...digestRequest('0'.repeat(64), 0),
      prefix: 7,
    }),
    sent('a bad signature', 'INVALID_SIGNATURE', 'query', query, {
      signature: Buffer.alloc(64, 7).toString('base64'),
    }),
    sent('a message of last week', 'STALE', 'query', query, { timestamp: weekAgo }),
    sent('an unknown checkpoint', 'UNKNOWN_HASH', 'state_sync', stateSyncRequest('1'.repeat(64))),
    sent(
      'an unknown root',
      'UNKNOWN_HASH',
      'sync_digest',
      digestRequest('0'.repeat(64), 0, { root: '1'.repeat(64) }),
    ),
    sent('a payload of 60 100 bytes', 'TOO_LARGE', 'query', { ...query, padding: 'x'.repeat(60_000) }),
    {
      what: 'a commit of 33 000 bytes',
      codes: ['TOO_LARGE'],
      send: (connection) => connection.sendEnvelope(commitOfSize(author, 33_000).envelope),
    },
    ...twofoldFaults,
    unreadable('no JSON', '{"version":'),
    unreadable('a JSON array', '[1]'),
    withId('a message without message_id', undefined, null),
    withId('a number as message_id', 7, null),
    withId('a message_id of 200 characters', 'i'.repeat(200), 'i'.repeat(200)),
    withId('a message_id of 201 characters', 'i'.repeat(201), null),
  ];
}

/** For a peer that has used up the minute's queries: the limit is one check among the others. */
export const faultsOverLimit: readonly Fault[] = [
  sent('a query over the limit', 'RATE_LIMIT', 'query', query),
  sent('a query over the limit without filters', 'RATE_LIMIT', 'query', unfiltered),
  sent('a query over the limit of last week', 'STALE', 'query', query, { timestamp: weekAgo }),
];

/** Faults that close, with the code of the close, and whether they are sent behind a hello. */
export const closingFaults: readonly [fault: Fault, close: number, joined: boolean][] = [
  [sent('version 2.0', 'VERSION_MISMATCH', 'query', query, { version: '2.0' }), 4426, true],
  [
    sent('another agent_id', 'IDENTITY_MISMATCH', 'query', query, {
      senderMembers: { agent_id: 'agent_x' },
    }),
    4401,
    true,
  ],
  [sent('a query before the hello', 'HANDSHAKE_REQUIRED', 'query', query), 4400, false],
  // Again two faults at once.
  [
    sent('version 2.0 from another agent', 'VERSION_MISMATCH', 'query', query, {
      version: '2.0',
      senderMembers: { agent_id: 'agent_x' },
    }),
    4426,
    true,
  ],
  [
    sent('a forged message of another agent', 'IDENTITY_MISMATCH', 'query', query, {
      ...forged,
      senderMembers: { agent_id: 'agent_x' },
    }),
    4401,
    true,
  ],
  [sent('a forged query before the hello', 'INVALID_SIGNATURE', 'query', query, forged), 4400, false],
  [
    sent('a query of last week before the hello', 'HANDSHAKE_REQUIRED', 'query', query, {
      timestamp: weekAgo,
    }),
    4400,
    false,
  ],
];

/** An error must have its form and name what it is about. */
export function wellFormed(error: Message, fault: Fault, expectedId: string | null): void {
  const { error_code, error_message, details } = error.payload ?? {};
  if (!fault.codes.includes(error_code))
    fail(
      `${fault.what} got error_code ${readable(error_code)}, expected ${fault.codes.join(' or ')}`,
      error.text,
    );
  if (typeof error_message !== 'string') fail(`the error to ${fault.what} has no error_message`, error.text);
  if (details === null || typeof details !== 'object' || Array.isArray(details))
    fail(`the error to ${fault.what} has no details`, error.text);
  if (!Object.hasOwn(details, 'request_id') || details.request_id !== expectedId)
    fail(
      `the error to ${fault.what} has details.request_id ${readable(details.request_id)}, expected ${readable(expectedId).slice(0, 60)}`,
      error.text,
    );
  if (error_code === 'STALE' && !(Math.abs(details.now - Date.now() / 1_000) < 300))
    fail(`STALE needs details.now, the receiver's clock in seconds; it says ${details.now}`, error.text);
}

/** Silence is told from slowness by a fence: what comes behind the fault is answered, the fault is not. */
async function theError(connection: Connection, fault: Fault): Promise<Message> {
  const fence = connection.fence(15_000);
  fence.catch(() => {});
  const error = await connection.maybe('error', 300);
  if (error !== null) return error;
  await fence;
  return (await connection.maybe('error', 1_000)) ?? fail(`${fault.what} drew no error`);
}

/** Sends each fault and waits for the one error that it must draw. */
export async function drawErrors(connection: Connection, faults: readonly Fault[]): Promise<Message[]> {
  const errors: Message[] = [];
  for (const fault of faults) {
    const expected = fault.send(connection);
    const error = await theError(connection, fault);
    wellFormed(error, fault, expected);
    errors.push(error);
  }
  return errors;
}
