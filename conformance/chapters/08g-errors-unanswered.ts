/** Message formats, errors: that nobody answers them, and what they must not tell. */

import type { Connection, SendOptions } from '../../harness/wire/connection.ts';
import { buildEnvelope } from '../../harness/wire/envelope.ts';
import { announce, digestRequest, errorPayload } from '../../harness/wire/gossip.ts';
import { type Json, readable } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import type { Bench } from '../bench.ts';
import { closedWith, silentUntilFence, stillServed } from '../expect.ts';
import { drawErrors, faultsOf, weekAgo } from '../faults.ts';
import type { Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';
import { ownIdentity } from './07a-life-cycle.ts';

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

export const rows: readonly Requirement[] = [
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
    const said = `${error.payload?.error_message}\n${readable(error.payload?.details)}`;
    const trace = traces.find(([, pattern]) => pattern.test(said));
    if (trace !== undefined) fail(`an error tells ${trace[0]}`, error.text);
    if (forms.some((form) => error.text.includes(form))) fail('an error tells the node’s private key');
  }
}
