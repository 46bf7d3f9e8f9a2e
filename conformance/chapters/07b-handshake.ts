/** § 7.2 Handshake: who says hello first, what a hello must be like, and what nobody may change afterwards. */

import type { Connection, SendOptions } from '../../harness/wire/connection.ts';
import { announce, stateSummary } from '../../harness/wire/gossip.ts';
import { sendHello } from '../../harness/wire/handshake.ts';
import type { Json } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { type Attempt, closedWith, endsWith, refusedWithTwin, saidOf, tryHandshake } from '../expect.ts';
import { pairsOf, reportedFirst } from '../order.ts';
import { capabilities, type Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

export type Changes = Record<string, Json | undefined>;

/** A hello that deviates, beside one that does not; both from the same identity, so only the hello can be the reason. */
export function helloRefused(
  bench: Bench,
  puppet: Puppet,
  node: NodeUnderTest,
  what: string,
  bad: { changes?: Changes; overrides?: SendOptions },
  code: string | readonly string[],
  close: number,
): Promise<Attempt> {
  return refusedWithTwin(bench, {
    what,
    code,
    close,
    bad: () => tryHandshake(puppet, node, bad),
    twin: () => tryHandshake(puppet, node),
  });
}

const malformedHellos: readonly [what: string, changes: Changes][] = [
  ['a hello without version', { version: undefined }],
  ['a hello without node_id', { node_id: undefined }],
  ['a hello without capabilities', { capabilities: undefined }],
  ['a hello without address', { address: undefined }],
  ['a hello without connection_type', { connection_type: undefined }],
  ['a hello with a null version', { version: null }],
  ['a hello with a number as node_id', { node_id: 7 }],
  ['a hello with a string as capabilities', { capabilities: 'gossip' }],
  ['a hello with a number as address', { address: 8888 }],
  ['a hello with an address without a port', { address: 'nowhere' }],
  ['a hello of an unknown connection_type', { connection_type: 'eternal' }],
  ['a hello with a number as connection_type', { connection_type: 1 }],
];

/** The order in which the first messages of one side came. */
const typesOf = (connection: Connection): string[] => connection.received.map((message) => message.type);

/** The messages of §4 in their order; that a request or a gossip comes between them is not forbidden to who is CONNECTED. */
function inOrder(connection: Connection, who: 'acceptor' | 'dialer'): void {
  const types = typesOf(connection);
  const [first, second] = types.filter((type) => ['hello', 'state_summary', 'peer_exchange'].includes(type));
  if (types[0] !== 'hello' || first !== 'hello' || second !== 'state_summary')
    fail(`the ${who} began with ${types.slice(0, 3).join(', ')}; expected hello, state_summary`);
}

export const rows: readonly Requirement[] = [
  {
    id: 'HSK-01',
    level: 'must',
    section: '7.2',
    role: 'b',
    quote:
      'Dialer sends `hello`, acceptor verifies and answers with its own `hello` (it repeats the `connection_type`)',
    reading:
      'As acceptor the node is silent until the dialer’s hello, answers with a hello of the same connection_type, then sends its state_summary; as dialer it speaks first, and sends its summary after the answer.',
    mutants: ['handshake-without-summary', 'acceptor-hello-type', 'acceptor-speaks-first', 'dialer-waits'],
    needs: [],
    durationHintMs: 3_000,
    test: async (bench) => {
      // Only a node that we start has a reason to dial at a moment that we know.
      const isOurs = bench.target.abilities.has('start');
      const bootstrap = await bench.puppet('bootstrap');
      const listener = await bootstrap.listen();
      const node = await bench.node(isOurs ? { bootstrap: [bootstrap.bootstrap] } : {});
      for (const type of ['sync', 'persistent', 'gossip', 'bootstrap'] as const) {
        const puppet = await bench.puppet(`dialer-${type}`);
        const connection = await puppet.mustDial(node);
        bench.step(`dialling as ${type}`);
        await connection.maybe(() => true, 300);
        if (connection.received.length > 0)
          fail(`the acceptor spoke before the dialer’s hello: ${typesOf(connection).join(', ')}`);
        sendHello(connection, type, { capabilities });
        connection.send('state_summary', stateSummary('0'.repeat(64), 0));
        const answer = await connection.next('hello');
        if (answer.payload?.connection_type !== type)
          fail(`a hello of type ${type} was answered with type ${answer.payload?.connection_type}`);
        const summary = await connection.next('state_summary');
        const { height, checkpoint_hash, state_root, item_count } = summary.payload;
        if (![height, item_count].every((n) => Number.isInteger(n) && n >= 0))
          fail('state_summary needs integers height and item_count', summary.payload);
        if (!/^[0-9a-f]{64}$/.test(state_root)) fail('state_summary.state_root is no hash', summary.payload);
        if (checkpoint_hash !== null && !/^[0-9a-f]{64}$/.test(checkpoint_hash))
          fail('state_summary.checkpoint_hash is neither null nor a hash', summary.payload);
        inOrder(connection, 'acceptor');
        await connection.close();
      }
      if (!isOurs)
        return pass(
          '4 connection types accepted in order; whether it dials in order needs a node started by us',
        );
      bench.step('waiting for the node to dial its bootstrap node');
      const joined = await listener.nextJoined(10_000);
      await joined.maybe('state_summary', 5_000);
      inOrder(joined, 'dialer');
      return pass('4 connection types accepted in order, and dialled in order');
    },
  },
  {
    id: 'HSK-02',
    level: 'must',
    section: '7.2',
    role: 's',
    quote: "Before the peer's hello was accepted every refusal also closes: with the code named, else 4400.",
    reading:
      'A hello with a member missing, of a wrong type or a wrong form is MALFORMED and closed with 4400, also one that answers the node’s own with another connection_type.',
    ruling:
      'Profile §4: `"address":"host:port"`, "`address` null"; "an answer with another `connection_type`: `MALFORMED`".',
    mutants: [
      'hello-any-capabilities',
      'hello-any-address',
      'hello-any-text-as-address',
      'hello-any-type',
      'hello-answer-any-type',
      'hello-version-null-mismatch',
      'hello-refused-open',
      'hello-refused-without-frame',
    ],
    needs: [],
    durationHintMs: 3_000,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('dialer');
      for (const [what, changes] of malformedHellos) {
        // "absent or null: MALFORMED" (§3.2, check 3). No node_id, or a number, is also not that of the sender.
        const isNode = 'node_id' in changes;
        const bad = await refusedWithTwin(bench, {
          what,
          code: isNode ? ['MALFORMED', 'IDENTITY_MISMATCH'] : 'MALFORMED',
          bad: () => tryHandshake(puppet, node, { changes }),
          twin: () => tryHandshake(puppet, node),
        });
        if (bad.closed === null) fail(`${what} was refused, but the connection stayed: ${bad.detail}`);
        const allowed = isNode ? [4400, 4401] : [4400];
        if (!endsWith(bad.closed, allowed))
          fail(`${what} ended by ${saidOf(bad.closed)}, expected close ${allowed.join(' or ')}`, bad);
      }
      const figures = `${malformedHellos.length} hellos were refused and closed, a good one accepted after each`;
      const { abilities } = bench.target;
      if (!(['start', 'instances', 'dial-back'] as const).every((each) => abilities.has(each)))
        return pass(figures);
      await answerOfAnotherType(bench);
      return pass(`${figures}; so was an answer of another type than the node’s hello`);
    },
  },
  {
    id: 'HSK-03',
    level: 'must',
    section: '7.2',
    role: 's',
    quote: '`version` is a string `1.` + digits (absent or null: MALFORMED)',
    reading:
      'A hello whose envelope or payload has another major version, or no string, gets VERSION_MISMATCH and close 4426; 1.0 and 1.7 are accepted.',
    mutants: [
      'version-unchecked',
      'version-prefix',
      'hello-version-unchecked',
      'version-exact',
      'version-newline',
      'version-other-digits',
      'identity-before-version',
    ],
    needs: [],
    durationHintMs: 3_000,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('dialer');
      // The last two pass Python's `$` and `\d`.
      const versions: readonly Json[] = [
        '2.0',
        '0.1',
        '',
        '1',
        '1.',
        '1.0.0',
        '10.0',
        '1.x',
        '1.0 ',
        1,
        '1.0\n',
        '1.\u0661',
      ];
      for (const version of versions) {
        const shown = JSON.stringify(version);
        const code = ['VERSION_MISMATCH'];
        await helloRefused(
          bench,
          puppet,
          node,
          `an envelope of version ${shown}`,
          { overrides: { version } },
          code,
          4426,
        );
        await helloRefused(
          bench,
          puppet,
          node,
          `a hello of version ${shown}`,
          { changes: { version } },
          code,
          4426,
        );
      }
      for (const version of ['1.7', '1.0', '1.12']) {
        const options = { changes: { version }, overrides: { version } };
        const attempt = await tryHandshake(puppet, node, options);
        if (!attempt.accepted) fail(`version ${version} was refused: ${attempt.detail}`, attempt);
      }
      await reportedFirst(bench, node, await bench.puppet('stranger'), pairsOf('version'));
      return pass(`${versions.length} foreign versions refused with 4426, 1.0, 1.7 and 1.12 accepted`);
    },
  },
  {
    id: 'HSK-04',
    level: 'must',
    section: '7.2',
    role: 's',
    quote:
      'A peer without `gossip` is not gossiped to, one without `sync` is not picked for anti-entropy or state sync',
    reading:
      'Unknown capabilities are ignored; announces go only to peers with gossip, anti-entropy only to peers with sync.',
    ruling:
      'That a peer without `sync` is not asked for a checkpoint either is part of SYN-02, which waits for those questions.',
    mutants: ['hello-unknown-capability', 'gossip-to-all', 'sync-with-all', 'rounds-with-all'],
    needs: ['start'],
    durationHintMs: 10_000,
    cpu: 0.1,
    test: async (bench) => {
      const node = await bench.node({ parameters: { anti_entropy_interval_s: 0.2 } });
      const [all, mute, observer] = await bench.puppets(3);
      const withBoth = await all!.peer(node, { capabilities: [...capabilities, 'teleport', 'quantum'] });
      const noGossip = await mute!.peer(node, { capabilities: ['v1', 'sync'] });
      const nothing = await observer!.peer(node, { capabilities: ['v1', 'consensus'] });
      const source = await (await bench.puppet('source')).join(node);
      bench.step('announces');
      for (let i = 0; i < 6; i += 1) {
        const gossip = announce(source.puppet.identity.nodeId, [], { topic: 'news' });
        source.send('gossip', gossip);
        await withBoth.next((message) => message.payload?.gossip_id === gossip.gossip_id);
      }
      // Of one round in three each would be the one without sync: that it is never picked in 40 has a chance of 1e-7.
      const digests = (connection: Connection): number =>
        connection.seen((message) => message.type === 'sync_digest' && message.requestId === null).length;
      await bench.waitFor(
        'sync_digest of 40 rounds at both peers with sync',
        30_000,
        () =>
          digests(nothing) > 0 ||
          (digests(withBoth) >= 3 && digests(noGossip) >= 3 && digests(withBoth) + digests(noGossip) >= 40),
      );
      for (const connection of [noGossip, nothing]) await connection.fence();
      const gossiped = (connection: Connection): number =>
        connection.seen((m) => m.type === 'gossip' && m.payload?.gossip_type === 'announce').length;
      if (gossiped(noGossip) + gossiped(nothing) > 0) fail('an announce went to a peer without gossip');
      if (digests(nothing) > 0) fail('a peer without sync was asked for its digest');
      const asked = nothing.seen((m) => m.type === 'state_sync' && m.payload?.sync_type === 'request').length;
      if (asked > 0) fail('a peer without sync was asked for a checkpoint');
      return pass(
        `6 announces only to the peer with gossip, ${digests(withBoth) + digests(noGossip)} digests only to peers with sync`,
      );
    },
  },
];

/** The node dials its bootstrap node, which answers first with another connection_type, then with the right one. */
async function answerOfAnotherType(bench: Bench): Promise<void> {
  bench.step('answering the node’s hello with another connection_type');
  const bootstrap = await bench.puppet('bootstrap');
  const listener = await bootstrap.listen({ handshake: null });
  await bench.node({ bootstrap: [bootstrap.bootstrap] });
  const bad = await listener.next(10_000);
  const { payload } = await bad.next('hello', 10_000);
  sendHello(bad, payload.connection_type === 'persistent' ? 'sync' : 'persistent', { capabilities });
  const answer = await bad.maybe((message) => message.type !== 'hello', 5_000);
  if (answer !== null && answer.errorCode !== 'MALFORMED')
    fail(`an answer of another connection_type got ${answer.errorCode ?? answer.type}, expected MALFORMED`);
  await closedWith(bad, 4400);
  const good = await listener.next(20_000);
  const again = await good.next('hello', 10_000);
  sendHello(good, again.payload.connection_type, { capabilities });
  await good.next('state_summary', 10_000);
}
