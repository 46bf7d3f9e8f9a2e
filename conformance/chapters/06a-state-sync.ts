/** § 6.1 State sync: what a node answers about its checkpoints, and how it asks for those of others. */

import { buildCheckpoint } from '../../harness/wire/checkpoint.ts';
import { announce, stateSyncRequest } from '../../harness/wire/gossip.ts';
import { sha256 } from '../../harness/wire/identity.ts';
import type { Json } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import { stateRoot, subtree } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import { answerTo, refusedWithTwin } from '../expect.ts';
import type { Joined } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import { type Chain, grow } from '../stage.ts';
import { checkpointOf, digest, offer, reached, standingOn, untilStandingOn } from '../states.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'SYN-01',
    level: 'must',
    section: '6.1',
    role: 's',
    quote: 'null = latest; unknown or none yet = `UNKNOWN_HASH`',
    reading:
      'state_sync with null answers the latest checkpoint, with a hash exactly that one, else UNKNOWN_HASH; the four latest are there with the sets under their roots, also after a restart.',
    ruling:
      'Profile §8: "At least the 4 latest checkpoints of a node stay servable with their roots, also after a restart."',
    mutants: [
      'state-sync-oldest',
      'state-sync-latest-for-any-hash',
      'state-sync-hash-ignored',
      'state-sync-empty-for-none',
      'checkpoints-three-kept',
      'checkpoints-without-roots',
      'digest-present-state',
      'checkpoints-lost-on-restart',
      'summary-without-checkpoint',
    ],
    needs: ['start'],
    durationHintMs: 8_000,
    cpu: 0.2,
    test: async (bench) => {
      const node = await bench.node({ parameters: { checkpoint_interval_s: 1, anti_entropy_interval_s: 0 } });
      const observer = await (await bench.puppet('observer')).join(node);
      if ((await checkpointOf(observer, null)) !== null) fail('a node without items has a checkpoint');
      const { height, checkpoint_hash } = observer.outcome.stateSummary.payload;
      if (height !== 0 || checkpoint_hash !== null)
        fail(`without a checkpoint the state_summary says height ${height}, hash ${checkpoint_hash}`);
      const chain = await grow(bench, node, observer, 5);
      await checkHeld(bench, observer, chain);
      await checkSummary(bench, node, chain);
      if (node.control === null || !bench.target.abilities.has('restart'))
        return pass(`${chain.length} checkpoints, the latest 4 served by hash with their roots`);
      bench.step('a restart');
      await observer.close();
      await node.control.terminate();
      await node.control.start();
      const again = await (await bench.puppet('observer-again')).join(node);
      await checkHeld(bench, again, chain);
      return pass(
        `${chain.length} checkpoints, the latest 4 served by hash with their roots, before and after a restart`,
      );
    },
  },
  {
    id: 'SYN-02',
    level: 'must',
    section: '6.1',
    role: 'b',
    quote: '`{"sync_type":"request","checkpoint_hash":hex|null,"last_known_height":int}`',
    reading:
      'Requests and responses of state_sync have all their members; a node asks for the checkpoint that a summary or an announce shows, and every 10 s a peer with sync, none without, for its latest.',
    ruling:
      'Profile §8, state_sync: "every 10 s a random peer that has `sync` for its latest, whether it has one itself or not".',
    mutants: [
      'state-sync-request-without-height',
      'state-sync-height-zero',
      'state-sync-without-type',
      'state-sync-rounds-never',
      'state-sync-rounds-a-minute',
      'state-sync-rounds-until-one',
      'state-sync-rounds-with-all',
      'state-sync-form-unchecked',
      'checkpoint-announce-unread',
      'checkpoint-asked-once',
      'checkpoint-asked-for-ever',
    ],
    needs: ['start'],
    durationHintMs: 37_000,
    limitMs: 80_000,
    cpu: 0,
    test: async (bench) => {
      const node = await bench.node({ parameters: { checkpoint_interval_s: 0 } });
      const puppet = await bench.puppet('holder');
      puppet.items.add(puppet.commit());
      const peer = await puppet.peer(node);
      // Five to one: who picks among all is soon with one of these.
      const without = await Promise.all(
        (await bench.puppets(5, 'without-sync')).map((one) => one.peer(node, { capabilities: ['v1'] })),
      );
      const isStray = (): boolean => without.some((one) => one.seen(isRequest).length > 0);
      const noStray = (): void => {
        if (isStray()) fail('a peer without sync was asked for a checkpoint');
      };
      const observer = await (await bench.puppet('observer')).join(node);
      const first = buildCheckpoint(puppet.items, [puppet.identity]);
      await checkForms(bench, observer);
      bench.step('waiting for the question that a node asks every 10 s');
      await reached(
        bench,
        observer,
        'question for the latest checkpoint',
        16_000,
        async () => isStray() || latests(peer).length > 0,
      );
      noStray();
      // From here on the peer has one, tells nobody, and shows it when it is asked again.
      peer.manners.checkpoints.push(first);
      const hash = String(first.hash);
      await reached(bench, observer, 'adoption by the next such question', 16_000, async () => {
        return isStray() || (await standingOn(observer)) === hash;
      });
      noStray();
      const adoptedAt = performance.now();
      await reached(bench, observer, 'question of a node that has a checkpoint', 16_000, async () =>
        latests(peer).some((message) => message.at > adoptedAt + 200),
      );
      checkRequests(peer, 1);
      await askedByHash(bench, peer, observer);
      const answer = await observer.request('state_sync', stateSyncRequest(hash));
      checkAnswer(answer, hash);
      noStray();
      return pass(`${latests(peer).length} questions for the latest in ${gaps(peer)} ms, all members there`);
    },
  },
];

const isRequest = (message: Message): boolean =>
  message.type === 'state_sync' && message.payload?.sync_type === 'request';

const latests = (peer: Joined): Message[] =>
  peer.seen((message) => isRequest(message) && message.payload.checkpoint_hash === null);

const gaps = (peer: Joined): string =>
  latests(peer)
    .slice(1)
    .map((message, index) => Math.round(message.at - latests(peer)[index]!.at))
    .join(' and ');

/** An announce makes the node ask by hash; of one that its announcer does not have (yet) it asks again, three times at most. */
async function askedByHash(bench: Bench, peer: Joined, observer: Joined): Promise<void> {
  const { identity } = peer.puppet;
  const next = buildCheckpoint(peer.manners.items, [identity], { height: 2, previousHash: sha256('far') });
  await untilStandingOn(bench, observer, offer(peer, next));
  const absent = sha256(bench.uuid());
  peer.send('gossip', announce(identity.nodeId, [absent], { topic: 'checkpoint' }));
  const times = (): number =>
    peer.seen((message) => isRequest(message) && message.payload.checkpoint_hash === absent).length;
  await reached(
    bench,
    observer,
    'second question for a checkpoint that its announcer does not have',
    5_000,
    async () => times() >= 2,
  );
  await bench.sleep(1_500, 'three more questions after 250 ms each would be over');
  if (times() > 4) fail(`asked ${times()} times for a checkpoint that its announcer does not have`);
}

/** Forms of all requests so far, the distance of those for the latest, and that the last one knows the height. */
function checkRequests(peer: Joined, heightAtLast: number): void {
  for (const { payload, text } of peer.seen('state_sync')) {
    if (payload.sync_type !== 'request') continue;
    const { checkpoint_hash, last_known_height } = payload;
    if (checkpoint_hash !== null && !/^[0-9a-f]{64}$/.test(String(checkpoint_hash)))
      fail('a state_sync request has no checkpoint_hash of 64 digits or null', text);
    if (!Number.isInteger(last_known_height) || last_known_height < 0)
      fail('a state_sync request has no last_known_height that is an integer', text);
  }
  const questions = latests(peer);
  const last = questions.at(-1)!.payload.last_known_height;
  if (last !== heightAtLast) fail(`asks with last_known_height ${last}, it stands on height ${heightAtLast}`);
  // Asking more often is nobody's harm.
  questions.slice(1).forEach((message, index) => {
    if (message.at - questions[index]!.at > 13_000)
      late(`asks its only peer for the latest checkpoint ${gaps(peer)} ms apart, not 10 s`);
  });
}

function checkAnswer(answer: Message, hash: string): void {
  const { sync_type, request_id, checkpoint } = answer.payload;
  if (sync_type !== 'response' || typeof request_id !== 'string' || checkpoint?.hash !== hash)
    fail('a state_sync response has not sync_type, request_id and the checkpoint asked for', answer.text);
}

async function checkForms(bench: Bench, observer: Joined): Promise<void> {
  const unknown = { ...(stateSyncRequest(sha256('nobody’s')) as Record<string, Json>) };
  const send = async (changes: Record<string, Json | undefined>) => {
    const payload: Record<string, Json> = { ...unknown };
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) delete payload[key];
      else payload[key] = value;
    }
    const attempt = await answerTo(observer, observer.send('state_sync', payload));
    // There is none yet: UNKNOWN_HASH says that the question was understood.
    return { ...attempt, accepted: attempt.code === 'UNKNOWN_HASH' };
  };
  const cases: [what: string, changes: Record<string, Json | undefined>][] = [
    ['a state_sync request without checkpoint_hash', { checkpoint_hash: undefined }],
    ['a state_sync request for a number', { checkpoint_hash: 5 }],
    ['a state_sync request without last_known_height', { last_known_height: undefined }],
    ['a state_sync request with text for last_known_height', { last_known_height: '0' }],
    ['a state_sync request with a last_known_height of null', { last_known_height: null }],
    ['a state_sync of no known sync_type', { sync_type: 'question' }],
    ['a state_sync without sync_type', { sync_type: undefined }],
  ];
  for (const [what, changes] of cases) {
    const attempt = { what, bad: () => send(changes), twin: () => send({}), code: 'MALFORMED', close: null };
    await refusedWithTwin(bench, attempt);
  }
}

/** The latest by null, each of the last four by its hash and with the set under its root, nothing under another hash. */
async function checkHeld(bench: Bench, observer: Joined, chain: Chain): Promise<void> {
  const latest = chain.at(-1)!;
  const stands = await standingOn(observer);
  if (stands !== latest.hash)
    fail(
      `asked for its latest checkpoint a node of height ${chain.length} gives ${stands}, not ${latest.hash}`,
    );
  for (const { hash, hashes, checkpoint } of chain.slice(-4)) {
    const got = await checkpointOf(observer, hash);
    if (got === null) fail(`checkpoint ${checkpoint.height} of ${chain.length} is not served any more`);
    if (got.hash !== hash) fail(`asked for checkpoint ${hash} a node gives ${String(got.hash)}`);
    const root = String(checkpoint.state_root);
    if (stateRoot(hashes) !== root) fail(`checkpoint ${checkpoint.height} is not over the items of its time`);
    const { payload } = await digest(observer, '', root);
    const truth = subtree(hashes, '');
    if (payload.root !== root || payload.hash !== truth.hash || payload.count !== truth.count)
      fail(
        `the tree under checkpoint ${checkpoint.height} is not that of its ${hashes.length} items`,
        payload,
      );
  }
  const strange = await checkpointOf(observer, sha256(bench.uuid()));
  if (strange !== null) fail('asked for a checkpoint that never was a node gives one', strange);
}

async function checkSummary(bench: Bench, node: NodeUnderTest, chain: Chain): Promise<void> {
  const late = await (await bench.puppet('late')).join(node);
  const { height, checkpoint_hash, state_root, item_count } = late.outcome.stateSummary.payload;
  const { hash, checkpoint, hashes } = chain.at(-1)!;
  if (height !== Number(checkpoint.height) || checkpoint_hash !== hash)
    fail(`the state_summary shows height ${height}, hash ${checkpoint_hash}; the latest is ${hash}`);
  if (state_root !== stateRoot(hashes) || item_count !== hashes.length)
    fail(`the state_summary shows ${item_count} items under ${state_root}`);
}
