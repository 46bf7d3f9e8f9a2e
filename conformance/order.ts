/**
 * The order of checks (profile §3.2): messages with two faults each, of which the earlier must be the one that is reported, with
 * its close code and no other. Owns the faults, the number of their check and what each of them earns; which pair belongs to
 * which requirement is for the rows.
 */

import type { Connection } from '../harness/wire/connection.ts';
import { buildEnvelope, type Overrides } from '../harness/wire/envelope.ts';
import { hello } from '../harness/wire/gossip.ts';
import { buildItem, commitPayload } from '../harness/wire/items.ts';
import { float, type Json, type JsonObject } from '../harness/wire/json.ts';
import type { Bench } from './bench.ts';
import { answerTo, refusedWithTwin, tryHandshake } from './expect.ts';
import { attempt, probe, probeEnvelope } from './probe.ts';
import type { Puppet } from './puppet.ts';
import { late, untestable } from './requirement.ts';
import type { NodeUnderTest } from './target.ts';

interface Fault {
  /** Its number in the table of §3.2. */
  check: number;
  what: string;
  code: string;
  close: number | null;
  /** How it gets into a message; `usedId` is that of a message which the node took from this peer. */
  overrides?: (usedId: string) => Overrides;
  members?: (kind: Kind) => Record<string, Json>;
}

export type FaultName =
  | 'shape'
  | 'version'
  | 'identity'
  | 'size'
  | 'signature'
  | 'early'
  | 'stale'
  | 'repeated'
  | 'type'
  | 'limit'
  | 'form';

const faults: Readonly<Record<FaultName, Fault>> = {
  shape: {
    check: 2,
    what: 'no agent_id',
    code: 'MALFORMED',
    close: null,
    overrides: () => ({ senderMembers: { agent_id: undefined } }),
  },
  version: {
    check: 3,
    what: 'version 2.0',
    code: 'VERSION_MISMATCH',
    close: 4426,
    overrides: () => ({ version: '2.0' }),
  },
  identity: {
    check: 4,
    what: "another's node_id",
    code: 'IDENTITY_MISMATCH',
    close: 4401,
    overrides: () => ({ senderMembers: { node_id: `node_${'0123456789'.repeat(4)}` } }),
  },
  size: {
    check: 5,
    what: 'a payload of more than 60 000 bytes',
    code: 'TOO_LARGE',
    close: null,
    members: () => ({ padding: 'x'.repeat(60_000) }),
  },
  signature: {
    check: 6,
    what: 'a bad signature',
    code: 'INVALID_SIGNATURE',
    close: null,
    overrides: () => ({ signWith: { secret: new Uint8Array(32).fill(7) } }),
  },
  // Nothing in the message: it comes before the hello.
  early: { check: 7, what: 'no hello before it', code: 'HANDSHAKE_REQUIRED', close: 4400 },
  stale: {
    check: 8,
    what: 'a timestamp of an hour ago',
    code: 'STALE',
    close: null,
    overrides: () => ({ timestamp: float(Math.floor(Date.now() / 1000) - 3_600 + 0.5) }),
  },
  repeated: {
    check: 8,
    what: 'a message_id used before',
    code: 'STALE',
    close: null,
    overrides: (messageId) => ({ messageId }),
  },
  type: {
    check: 9,
    what: 'an unknown message_type',
    code: 'UNKNOWN_TYPE',
    close: null,
    overrides: () => ({ messageType: 'no_such_type' }),
  },
  // Nothing in the message: its sender has used up its minute.
  limit: { check: 10, what: 'no room under its limit', code: 'RATE_LIMIT', close: null },
  form: {
    check: 11,
    what: 'a malformed payload',
    code: 'MALFORMED',
    close: null,
    members: (kind) => kind.malformed,
  },
};

/** The message that the faults are put into. */
export interface Kind {
  what: string;
  build(connection: Connection, members: Record<string, Json>, overrides: Overrides): JsonObject;
  /** It opens a connection: each goes out on one that was dialled for it. */
  opens?: boolean;
  /** Members of its payload that break check 11. */
  malformed: Record<string, Json>;
}

export const digestKind: Kind = {
  what: 'sync_digest',
  build: probeEnvelope,
  malformed: { prefix: 'no hex' },
};

/** A new commit each time: one that the node held would be answered `known` after check 7. */
export const commitKind: Kind = {
  what: 'commit',
  build: ({ puppet }, members, overrides) =>
    buildItem(puppet, 'commit', commitPayload(members), overrides).envelope,
  malformed: { confidence: 2 },
};

export const queryKind: Kind = {
  what: 'query',
  build: ({ puppet }, members, overrides) => {
    const payload = { query_type: 'by_hash', filters: { rule_hash: 'rule_0' }, ...members };
    return buildEnvelope(puppet.identity, 'query', payload, overrides);
  },
  malformed: { filters: {} },
};

export const helloKind: Kind = {
  what: 'hello',
  opens: true,
  build: ({ puppet }, members, overrides) => {
    const payload = hello(puppet.identity.nodeId, 'sync', [], null, members);
    return buildEnvelope(puppet.identity, 'hello', payload, overrides);
  },
  malformed: { capabilities: 'all' },
};

export type Pair = readonly [first: FaultName, second: FaultName];

/** One fault of a message with each that a later check finds. */
export function pairsOf(first: FaultName): Pair[] {
  const names = Object.keys(faults) as FaultName[];
  return names
    .filter((name) => name !== 'early' && name !== 'limit' && faults[name].check > faults[first].check)
    .map((second) => [first, second]);
}

/** Before the hello: what comes before check 7 is reported, what comes after it is not. */
export const pairsBeforeHello: readonly Pair[] = [
  ['shape', 'early'],
  ['version', 'early'],
  ['identity', 'early'],
  ['size', 'early'],
  ['signature', 'early'],
  ['early', 'stale'],
  ['early', 'repeated'],
  ['early', 'type'],
  ['early', 'form'],
];

/** Within a hello, from check to check: a node may have a path of its own for it. */
export const pairsOfHello: readonly Pair[] = [
  ['shape', 'version'],
  ['version', 'identity'],
  ['version', 'signature'],
  ['identity', 'size'],
  ['identity', 'signature'],
  ['size', 'signature'],
  ['signature', 'stale'],
  ['signature', 'repeated'],
  ['signature', 'form'],
  ['stale', 'form'],
  ['repeated', 'form'],
];

/** Of a peer that has used up its minute. */
export const pairsOverLimit: readonly Pair[] = [
  ['signature', 'limit'],
  ['stale', 'limit'],
  ['repeated', 'limit'],
  ['limit', 'form'],
];

function spoilt(kind: Kind, connection: Connection, usedId: string, pair: Pair): JsonObject {
  let members: Record<string, Json> = {};
  let overrides: Overrides = {};
  for (const name of pair) {
    const fault = faults[name];
    const more = fault.overrides?.(usedId) ?? {};
    members = { ...members, ...fault.members?.(kind) };
    overrides = {
      ...overrides,
      ...more,
      senderMembers: { ...overrides.senderMembers, ...more.senderMembers },
    };
  }
  return kind.build(connection, members, overrides);
}

/** Sends each pair in one message; the error must be that of the first. Returns how many there were. */
export async function reportedFirst(
  bench: Bench,
  node: NodeUnderTest,
  puppet: Puppet,
  pairs: readonly Pair[],
  kind: Kind = digestKind,
): Promise<number> {
  const steady = await puppet.join(node);
  const used = probeEnvelope(steady);
  const taken = await attempt(steady, used);
  if (!taken.accepted) {
    // No word at all may be the host's fault; a refusal is the node's.
    const isSilent = taken.code === null && taken.closed === null && taken.passedOver !== true;
    if (isSilent) late(`a message without any fault was not answered: ${taken.detail}`);
    untestable(`a message without any fault was refused: ${taken.detail}`);
  }
  for (const pair of pairs) {
    const [first, second] = pair.map((name) => faults[name]) as [Fault, Fault];
    const isEarly = kind.opens === true || pair.includes('early');
    // Before the hello "every refusal also closes: with the code named, else 4400" (§3.2).
    const close = first.close ?? (isEarly ? 4400 : null);
    await refusedWithTwin(bench, {
      what: `a ${kind.what} with ${first.what} and ${second.what}`,
      code: first.code,
      close,
      bad: async () => {
        if (close === null) return attempt(steady, spoilt(kind, steady, String(used.message_id), pair));
        const fresh = isEarly ? await puppet.mustDial(node) : await puppet.join(node);
        const id = fresh.sendEnvelope(spoilt(kind, fresh, String(used.message_id), pair));
        return answerTo(fresh, id, { awaitClose: true });
      },
      twin: () => (kind.opens === true ? tryHandshake(puppet, node) : probe(steady)),
    });
  }
  await steady.close();
  return pairs.length;
}
