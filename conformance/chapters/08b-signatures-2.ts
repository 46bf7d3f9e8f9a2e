/** § 8.2 Message signing: what a signature binds, and who may sign it. */

import type { Connection } from '../../harness/wire/connection.ts';
import { flippedBit, tampered } from '../../harness/wire/envelope.ts';
import {
  announce,
  heartbeat,
  itemRequest,
  itemResponse,
  peerExchange,
  peerRequest,
  stateSummary,
  stateSyncRequest,
} from '../../harness/wire/gossip.ts';
import { itemOf, ruleHash } from '../../harness/wire/items.ts';
import { float, type Json, type JsonObject, numberOf } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { accepted, answerTo, refusedWithTwin, served, stillServed, tryHandshake } from '../expect.ts';
import { attempt, heldAfterRelay, mismatch, probe, probeEnvelope } from '../probe.ts';
import type { Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

/** Another hex digit at `at`, so that the form stays. */
function otherDigit(hex: string, at: number): string {
  return hex.slice(0, at) + (hex[at] === '7' ? '8' : '7') + hex.slice(at + 1);
}

interface Change {
  path: readonly string[];
  to: (was: Json) => Json;
}

const text = (change: (was: string) => string) => (was: Json) => change(String(was));

/** Members of a probe that a signature covers, each with a change that leaves the message in order but for the signature. */
const changes: readonly Change[] = [
  { path: ['version'], to: () => '1.1' },
  { path: ['message_type'], to: () => 'sync_digesu' },
  { path: ['message_id'], to: text((id) => otherDigit(id, 35)) },
  { path: ['timestamp'], to: (was) => float(numberOf(was) + 0.5) },
  { path: ['sender', 'nickname'], to: () => 'bertha' },
  { path: ['payload', 'prefix'], to: () => 'e' },
  { path: ['payload', 'state_root'], to: text((root) => otherDigit(root, 63)) },
  { path: ['payload', 'item_count'], to: (was) => numberOf(was) + 1 },
  { path: ['payload', 'more', 'deep'], to: () => [1, 2, 4] },
  { path: ['payload', 'flag'], to: () => false },
  { path: ['payload', 'absent'], to: () => null },
  { path: ['colour'], to: () => 'bed' },
];

/** Members by which check 4 knows the sender: it speaks first, and closes. */
const identities: readonly Change[] = [
  { path: ['sender', 'node_id'], to: text((id) => otherDigit(id, 44)) },
  { path: ['sender', 'agent_id'], to: text((id) => otherDigit(id, id.length - 1)) },
  { path: ['sender', 'public_key'], to: text((key) => flippedBit(key, 9)) },
];

/** A message signed over everything that the changes touch. */
function whole(connection: Connection): JsonObject {
  return probeEnvelope(
    connection,
    { more: { deep: [1, 2, 3] }, flag: true, absent: 0 },
    { senderMembers: { nickname: 'berta' }, extra: { colour: 'red' } },
  );
}

function after({ path, to }: Change, envelope: JsonObject): JsonObject {
  const was = path.reduce<Json>((value, key) => (value as JsonObject)[key]!, envelope);
  return tampered(envelope, path, to(was));
}

/** Every type that a peer may send is refused under a foreign signature; an `error` has no answer, whatever it is worth. */
async function everyType(bench: Bench, connection: Connection, other: Puppet): Promise<void> {
  const { nodeId } = connection.puppet.identity;
  const { items } = connection.manners;
  const nobody = '00000000-0000-4000-8000-000000000000';
  const payloads: [type: string, payload: JsonObject][] = [
    ['query', { query_type: 'by_hash', filters: { rule_hash: 'rule_0' } }],
    ['peer_request', peerRequest(nodeId)],
    ['peer_exchange', peerExchange([])],
    ['state_summary', stateSummary(items.root(), items.size)],
    ['state_sync', stateSyncRequest(null)],
    ['response', { request_id: nobody, status: 'accepted' }],
    ['gossip', announce(nodeId, [ruleHash(`${bench.seed} nothing`)])],
    ['gossip', itemRequest(nodeId, [ruleHash(`${bench.seed} nothing`)])],
    ['gossip', itemResponse(nodeId, nobody, [], [])],
    ['gossip', heartbeat(nodeId)],
    ['challenge', other.challenge().envelope.payload as JsonObject],
    ['confirm', other.confirm().envelope.payload as JsonObject],
  ];
  for (const [type, payload] of payloads) {
    const what = `a ${type === 'gossip' ? `gossip ${String(payload.gossip_type)}` : type}`;
    await refusedWithTwin(bench, {
      what: `${what} signed with another node's key`,
      code: 'INVALID_SIGNATURE',
      close: null,
      bad: () => answerTo(connection, connection.send(type, payload, { signWith: other.identity })),
      twin: () => probe(connection),
    });
  }
}

export const rows: readonly Requirement[] = [
  {
    id: 'SIG-03',
    level: 'must',
    section: '8.2',
    role: 's',
    quote: 'Ed25519(node key, canonical form of the envelope without its `signature` member)',
    reading: 'A message in which any signed member was changed after signing has no effect.',
    mutants: [
      'signature-not-checked',
      'signature-remembered',
      'signature-checked-once',
      'signature-of-payload-too',
    ],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('signer');
      const connection = await puppet.join(node);
      for (const change of changes) {
        await refusedWithTwin(bench, {
          what: `a message whose ${change.path.join('.')} was changed after signing`,
          code: 'INVALID_SIGNATURE',
          close: null,
          bad: () => attempt(connection, after(change, whole(connection))),
          twin: () => attempt(connection, whole(connection)),
        });
      }
      bench.step('one signature under two messages');
      const first = whole(connection);
      if (!(await attempt(connection, first)).accepted) fail('a good message was refused');
      const second = whole(connection);
      await refusedWithTwin(bench, {
        what: 'a message under the signature of one that was accepted',
        code: 'INVALID_SIGNATURE',
        close: null,
        bad: () => attempt(connection, tampered(second, ['signature'], first.signature)),
        twin: () => attempt(connection, second),
      });
      for (const change of identities) {
        const what = `a message whose ${change.path.join('.')} was changed after signing`;
        await mismatch(bench, node, puppet, what, (fresh) => after(change, whole(fresh)));
      }
      bench.step('a commit with another certificate of its author put in after signing');
      const again = await bench.target.authority.issue(puppet.identity);
      const item = puppet.commit();
      const swapped = itemOf(
        tampered(item.envelope, ['sender', 'certificate'], Buffer.from(again.der).toString('base64')),
      );
      const lowered = itemOf(tampered(item.envelope, ['payload', 'confidence'], float(0.5)));
      for (const bad of [swapped, lowered]) {
        await refusedWithTwin(bench, {
          what: 'a commit that was changed after signing',
          code: 'INVALID_SIGNATURE',
          close: null,
          bad: () => attempt(connection, bad.envelope),
          twin: () => probe(connection),
        });
        if ((await served(connection, bad.hash)) !== null) fail('a changed commit was refused, but taken');
      }
      await accepted(connection, item);
      return pass(`${changes.length + identities.length + 2} changes after signing were refused`);
    },
  },
  {
    id: 'SIG-04',
    level: 'must',
    section: '8.2',
    role: 's',
    quote: '`signature` = base64(Ed25519(node key, canonical form',
    reading: 'A message signed by another key than that of its sender has no effect, nor has an item.',
    mutants: [
      'signature-not-checked',
      'item-signature-not-checked',
      'verifies-by-embedded-key',
      'gossip-unverified',
      'sync-unverified',
      'commits-alone-verified',
      'heartbeats-unverified',
      'summaries-unverified',
    ],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('signer');
      const other = await bench.puppet('other');
      const connection = await puppet.join(node);
      await refusedWithTwin(bench, {
        what: "a message signed with another node's key",
        code: 'INVALID_SIGNATURE',
        close: null,
        bad: () => probe(connection, {}, { signWith: other.identity }),
        twin: () => probe(connection),
      });
      const bad = puppet.commit({}, { signWith: other.identity });
      await refusedWithTwin(bench, {
        what: "a commit signed with another node's key",
        code: 'INVALID_SIGNATURE',
        close: null,
        bad: () => attempt(connection, bad.envelope),
        twin: () => probe(connection),
      });
      if ((await served(connection, bad.hash)) !== null) fail('the commit was refused, but taken');
      await everyType(bench, connection, other);
      await mismatch(bench, node, puppet, "a message with another node's key in it, signed with that", (c) =>
        probeEnvelope(
          c,
          {},
          { signWith: other.identity, senderMembers: { public_key: other.identity.publicKeyBase64 } },
        ),
      );
      bench.step('handing on items that their author did not sign');
      const forged = other.commit({}, { signWith: puppet.identity });
      const honest = other.commit();
      const held = await heldAfterRelay(bench, connection, [forged, honest]);
      if (!held.has(honest.hash)) fail('the good item beside a forged one was not taken');
      if (held.has(forged.hash)) fail('an item signed by whoever handed it on was taken');
      return pass('messages, a commit and a relayed item under a foreign signature were refused');
    },
  },
  {
    id: 'SIG-05',
    level: 'must',
    section: '8.2/8.1',
    role: 's',
    quote: "`sender` is the connection's certified peer (key, node id, agent id",
    reading:
      "A message in another node's name, signed with one's own key, closes 4401 and does the other no harm; an item in its name is not taken.",
    mutants: ['node-id-not-compared', 'item-author-not-compared', 'item-agent-not-compared'],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      const thief = await bench.puppet('thief');
      const victim = await bench.puppet('victim');
      const watched = await victim.join(node);
      const { nodeId, agentId } = victim;
      const claims: Record<string, Record<string, Json>> = {
        "another's node_id": { node_id: nodeId },
        "another's agent_id": { agent_id: agentId },
        "another's node_id and agent_id": { node_id: nodeId, agent_id: agentId },
        'the whole identity of another': {
          node_id: nodeId,
          agent_id: agentId,
          public_key: victim.identity.publicKeyBase64,
        },
      };
      for (const [what, senderMembers] of Object.entries(claims)) {
        await mismatch(
          bench,
          node,
          thief,
          `a message with ${what}, signed with one's own key`,
          (connection) => probeEnvelope(connection, {}, { senderMembers }),
        );
        const honest = await bench.puppet(`beside ${what}`);
        await refusedWithTwin(bench, {
          what: `a hello with ${what}`,
          code: 'IDENTITY_MISMATCH',
          close: 4401,
          bad: () => tryHandshake(thief, node, { overrides: { senderMembers } }),
          twin: () => tryHandshake(honest, node),
        });
      }
      const commit = thief.commit({}, { senderMembers: { node_id: nodeId } });
      await mismatch(bench, node, thief, "a commit with another's node_id", () => commit.envelope);
      if ((await served(watched, commit.hash)) !== null) fail('the commit was refused, but taken');
      bench.step("handing on items in another's name");
      const connection = await thief.join(node);
      const forged = [
        thief.commit({}, { senderMembers: { node_id: nodeId } }),
        thief.commit({}, { senderMembers: { agent_id: agentId } }),
        thief.commit({}, { senderMembers: { node_id: nodeId, agent_id: agentId } }),
      ];
      const own = thief.commit();
      const held = await heldAfterRelay(bench, connection, [...forged, own]);
      if (!held.has(own.hash)) fail('the good item beside forged ones was not taken');
      const taken = forged.findIndex((item) => held.has(item.hash));
      if (taken >= 0) fail(`an item with a foreign name was taken (variant ${taken + 1} of 3)`);
      await stillServed(watched);
      return pass(`${Object.keys(claims).length} claims closed 4401, three forged items were not taken`);
    },
  },
];
