/** Message formats, errors: their form, what they name, what they must not tell, and that nobody answers them. */

import type { Connection, SendOptions } from '../../harness/wire/connection.ts';
import { buildEnvelope } from '../../harness/wire/envelope.ts';
import {
  announce,
  digestRequest,
  errorPayload,
  peerRequest,
  stateSyncRequest,
} from '../../harness/wire/gossip.ts';
import { commitOfSize } from '../../harness/wire/items.ts';
import type { Json, JsonObject } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import type { Bench } from '../bench.ts';
import { closedWith, silentUntilFence, stillServed } from '../expect.ts';
import type { Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';
import { ownIdentity } from './07a-life-cycle.ts';

/** A fault that is answered by an error: which code, and what its request_id must be. */
interface Fault {
  what: string;
  codes: readonly string[];
  /** Sends it; returns the request_id that the error must hold. */
  send: (connection: Connection) => string | null;
}

const query: JsonObject = { query_type: 'by_hash', filters: { rule_hash: 'rule_0' } };
const weekAgo = Math.floor(Date.now() / 1_000) - 604_800.5;

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

function faultsOf(puppet: Puppet): readonly Fault[] {
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

/** Payloads that a careless handler trips over. */
const strange: readonly [type: string, payload: Json][] = [
  ['query', { query_type: 'by_context', filters: { context_pattern: '('.repeat(200) } }],
  ['query', { query_type: 'by_hash', filters: null }],
  ['query', { query_type: 'by_hash', filters: [] }],
  ['query', { query_type: '__proto__', filters: { rule_hash: 'rule_0' } }],
  ['query', { query_type: 'constructor', filters: {} }],
  ['query', { query_type: 'by_agent', filters: { agent_id: 7 } }],
  ['query', { query_type: 'by_hash', filters: { rule_hash: 'rule_0', limit: 'all' } }],
  ['gossip', { ...announce('node', []), item_hashes: null }],
  ['gossip', { ...announce('node', []), item_hashes: [{}] }],
  ['gossip', { ...announce('node', []), topics: 'all' }],
  ['sync_digest', { ...digestRequest('0'.repeat(64), 0), prefix: { toString: null } }],
  ['sync_digest', { ...digestRequest('0'.repeat(64), 0), prefix: '../../etc/passwd' }],
  ['state_sync', { sync_type: 'request', checkpoint_hash: {}, last_known_height: 'x' }],
  ['peer_request', { node_id: null, capabilities: null }],
  ['peer_exchange', { peers: 7 }],
  ['commit', {}],
  ['challenge', { contradicting_rule: null }],
  ['__proto__', {}],
  ['toString', {}],
];

const traces: readonly [what: string, pattern: RegExp][] = [
  ['a JavaScript stack', /\n\s+at\s+\S+/],
  ['a Python traceback', /Traceback \(most recent|File "[^"]+", line \d+/],
  ['a Go stack', /goroutine \d+ \[|panic:/],
  ['a Rust panic', /panicked at/],
  ['a Java stack', /\bat [\w.$]+\([\w]+\.java:\d+\)/],
  ['a place in the source', /[\w/.-]+\.(?:py|go|rs|js|ts|mjs|java|kt|cpp|cc|c|rb|ex):\d+/],
  ['a key in PEM', /-----BEGIN/],
];

/** An error must have its form and name what it is about. */
function wellFormed(error: Message, fault: Fault, expectedId: string | null): void {
  const { error_code, error_message, details } = error.payload ?? {};
  if (!fault.codes.includes(error_code))
    fail(
      `${fault.what} got error_code ${JSON.stringify(error_code)}, expected ${fault.codes.join(' or ')}`,
      error.text,
    );
  if (typeof error_message !== 'string') fail(`the error to ${fault.what} has no error_message`, error.text);
  if (details === null || typeof details !== 'object' || Array.isArray(details))
    fail(`the error to ${fault.what} has no details`, error.text);
  if (!Object.hasOwn(details, 'request_id') || details.request_id !== expectedId)
    fail(
      `the error to ${fault.what} has details.request_id ${JSON.stringify(details.request_id)}, expected ${JSON.stringify(expectedId)?.slice(0, 60)}`,
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
async function drawErrors(connection: Connection, faults: readonly Fault[]): Promise<Message[]> {
  const errors: Message[] = [];
  for (const fault of faults) {
    const expected = fault.send(connection);
    const error = await theError(connection, fault);
    wellFormed(error, fault, expected);
    errors.push(error);
  }
  return errors;
}

/** Faults that close: each on a connection of its own. The error may be lost to the close. */
async function drawClosing(bench: Bench, puppet: Puppet, node: NodeUnderTest): Promise<void> {
  const closing: readonly [fault: Fault, close: number, joined: boolean][] = [
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
  for (const [fault, close, joined] of closing) {
    bench.step(fault.what);
    const connection = joined ? await puppet.join(node) : await puppet.mustDial(node);
    const id = fault.send(connection);
    await closedWith(connection, close);
    const [error, ...more] = connection.seen('error');
    if (error !== undefined) wellFormed(error, fault, id);
    if (more.length > 0) fail(`${fault.what} drew ${more.length + 1} errors`, more[0]!.text);
  }
}

export const rows: readonly Requirement[] = [
  {
    id: 'ERR-01',
    level: 'must',
    section: 'F3.6',
    role: 'b',
    quote: '`request_id`: the message_id as it was read, if a string of at most 200 characters, else null',
    reading:
      'Every error has a known error_code, an error_message and details with a request_id that names the message it is about; of two faults it names the one that §3.2 checks first; watched on all connections of the run.',
    mutants: [
      'error-shape-before-age',
      'error-state-before-signature',
      'error-free-text',
      'error-lower-case',
      'error-own-codes',
      'error-without-details',
      'error-without-request-id',
      'error-long-id',
      'error-number-id',
      'error-stale-without-now',
      'error-stale-milliseconds',
      'error-malformed-silent',
    ],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      const [puppet, asker] = await bench.puppets(2, 'faulty');
      const connection = await puppet!.join(node);
      bench.step('faults that are answered');
      const faults = faultsOf(puppet!);
      await drawErrors(connection, faults);
      await stillServed(connection);
      bench.step('too many queries');
      const asking = await asker!.join(node);
      for (let i = 0; i < 30; i += 1) asking.send('peer_request', peerRequest(asker!.nodeId));
      const [error] = await drawErrors(asking, [
        sent('a query over the limit', 'RATE_LIMIT', 'query', query),
        sent('a query over the limit without filters', 'RATE_LIMIT', 'query', unfiltered),
        sent('a query over the limit of last week', 'STALE', 'query', query, { timestamp: weekAgo }),
      ]);
      if (!(error!.payload.details.retry_after > 0)) fail('RATE_LIMIT without retry_after', error!.text);
      await drawClosing(bench, puppet!, node);
      return pass(`${faults.length + 10} faults drew errors in their form, each naming its message`);
    },
  },
  {
    id: 'ERR-02',
    level: 'must',
    section: 'F3.6',
    role: 's',
    quote: 'An error is never answered.',
    reading:
      'Neither an error, good or bad, nor a response that nobody asked for is answered; and no error tells of stacks, places in the source or keys.',
    ruling: 'Profile §6: "An unsolicited `response` is ignored."',
    mutants: [
      'error-answered',
      'error-refused-answered',
      'response-answered',
      'error-tells-stack',
      'error-tells-key',
    ],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('quarrelsome');
      const connection = await puppet.join(node);
      const replies = repliesOf(bench, connection);
      await silentUntilFence(bench, 'an answer to an error or a response', {
        watched: [connection],
        matcher: (message) => message.type === 'error' || replies.some(({ id }) => id === message.requestId),
        sources: [],
        since: [0],
      });
      if (connection.ended !== null) fail(`errors closed the connection: ${connection.ended.code}`);
      await closingErrors(bench, puppet, node);
      bench.step('what errors tell');
      const other = await (await bench.puppet('curious')).join(node);
      const errors = await drawErrors(other, faultsOf(other.puppet as Puppet));
      for (const [type, payload] of strange) other.send(type, payload);
      await stillServed(other);
      tellsNothing(node, [...errors, ...other.seen('error')]);
      return pass(
        `${replies.length + 3} errors and responses stayed unanswered; ${other.seen('error').length} errors tell nothing they should not`,
      );
    },
  },
];

/** Sends errors and responses of every kind; the ids under which no answer may come. */
function repliesOf(bench: Bench, connection: Connection): readonly { id: string }[] {
  const details = { request_id: bench.uuid() };
  const error = errorPayload('MALFORMED', 'so there', details);
  const messages: readonly [type: string, payload: Json, options?: SendOptions][] = [
    ['error', error],
    ['error', errorPayload('NO_SUCH_CODE', 'so there', details)],
    ['error', errorPayload('STALE', 'so there', { request_id: null })],
    ['error', {}],
    ['error', { error: 'free text' }],
    ['error', { error_code: 7, error_message: [], details: null }],
    ['error', error, { timestamp: weekAgo }],
    ['error', error, { signature: Buffer.alloc(64, 9).toString('base64') }],
    ['error', { ...error, padding: 'x'.repeat(60_000) }],
    ['response', { request_id: bench.uuid(), status: 'accepted', item_hash: `rule_${'1'.repeat(64)}` }],
    ['response', { request_id: bench.uuid(), results: [], total_count: 0 }],
  ];
  const ids = messages.map(([type, payload, options]) => connection.send(type, payload, options));
  // The same error twice: its message_id is known by then.
  const twice = buildEnvelope(connection.puppet.identity, 'error', error);
  for (let i = 0; i < 2; i += 1) ids.push(connection.sendEnvelope(twice));
  return ids.map((id) => ({ id }));
}

/** Errors that are wrong in a way that closes: closed they are, but not answered. */
async function closingErrors(bench: Bench, puppet: Puppet, node: NodeUnderTest): Promise<void> {
  const error = errorPayload('MALFORMED', 'so there', { request_id: null });
  const closing: readonly [what: string, options: SendOptions, close: number, joined: boolean][] = [
    ['an error of version 2.0', { version: '2.0' }, 4426, true],
    ['an error in another’s name', { senderMembers: { agent_id: 'agent_x' } }, 4401, true],
    ['an error before the hello', {}, 4400, false],
  ];
  for (const [what, options, close, joined] of closing) {
    bench.step(what);
    const connection = joined ? await puppet.join(node) : await puppet.mustDial(node);
    connection.send('error', error, options);
    await closedWith(connection, close);
    const answer = connection.seen('error')[0];
    if (answer !== undefined) fail(`${what} was answered`, answer.text);
  }
}

function tellsNothing(node: NodeUnderTest, errors: readonly Message[]): void {
  const secret = ownIdentity(node)?.secret;
  const forms =
    secret === undefined
      ? []
      : (['base64', 'base64url', 'hex'] as const).map((form) =>
          Buffer.from(secret).toString(form).replace(/=+$/, ''),
        );
  for (const error of errors) {
    const said = `${error.payload?.error_message}\n${JSON.stringify(error.payload?.details)}`;
    const trace = traces.find(([, pattern]) => pattern.test(said));
    if (trace !== undefined) fail(`an error tells ${trace[0]}`, error.text);
    if (forms.some((form) => error.text.includes(form))) fail('an error tells the node’s private key');
  }
}
