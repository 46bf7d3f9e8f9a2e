/** § 6.1 Fetching what is under a checkpoint: only what is missing, in batches, and nothing half. */

import { buildCheckpoint } from '../../harness/wire/checkpoint.ts';
import { commitOfSize, itemSet } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import { serveItems } from '../../harness/wire/manners.ts';
import type { Message } from '../../harness/wire/message.ts';
import { stateRoot } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import type { Joined } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import { adopts, checkpointOn, type Stage, setStage, still } from '../stage.ts';
import { checkpointOf, hashesOf, heldOf, offer, rootOf, standingOn, untilStandingOn } from '../states.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'SYN-04',
    level: 'must',
    section: '6.1',
    role: 'c',
    quote: 'fetches what it lacks in batches ≤ 100',
    reading:
      'Of the 260 items under a checkpoint a node that holds 60 asks for the other 200, at most 100 at once and one request at a time; what it serves itself is in messages of 64 KiB at most.',
    ruling: 'Profile §7: "One request in flight per peer, ≤ 100 hashes."',
    mutants: [
      'fetch-all-items',
      'fetch-two-hundred',
      'fetch-two-requests',
      'response-without-bound',
      'checkpoint-walk-present',
    ],
    needs: ['start'],
    durationHintMs: 3_000,
    limitMs: 60_000,
    cpu: 0.5,
    test: async (bench) => {
      const stage = await setStage(bench, await bench.node({ parameters: still }), []);
      const { author, honest, observer } = stage;
      const items = Array.from({ length: 260 }, () => author.commit());
      // 40 of 3 000 bytes: more than fits into one message.
      for (let i = 0; i < 40; i += 1) items.push(commitOfSize(author, 3_000));
      const first = [...items.slice(0, 60)];
      for (const item of first) stage.items.add(item);
      await adopts(stage, checkpointOn(stage), 20_000);
      const from = honest.received.length;
      const watch = servingSlowly(honest);
      for (const item of items.slice(60)) stage.items.add(item);
      await adopts(stage, checkpointOn(stage), 30_000);
      const asked = requests(honest.received.slice(from));
      const lacking = new Set(items.slice(60).map((item) => item.hash));
      const needless = asked.flat().filter((hash) => !lacking.has(hash));
      if (needless.length > 0) fail(`asked for ${needless.length} items that it held`);
      const distinct = new Set(asked.flat());
      if (distinct.size !== lacking.size) fail(`asked for ${distinct.size} of ${lacking.size} missing items`);
      const most = Math.max(...asked.map((hashes) => hashes.length));
      if (most > 100) fail(`asked for ${most} items at once`);
      if (watch.most > 1) fail(`had ${watch.most} requests for items in flight at one peer`);
      await atItsRoot(stage);
      const large = items.slice(260).map((item) => item.hash);
      const held = await heldOf(observer, large);
      if (held.size !== large.length) fail(`serves ${held.size} of ${large.length} items of 3 000 bytes`);
      const longest = Math.max(...[...observer.received, ...honest.received].map((message) => message.size));
      if (longest > 65_536) fail(`sent a message of ${longest} bytes`);
      return pass(
        `${distinct.size} missing items in ${asked.length} requests of at most ${most}; the longest message has ${longest} bytes`,
      );
    },
  },
  {
    id: 'SYN-05',
    level: 'must',
    section: '6.1',
    role: 'c',
    quote: 'any mismatch discards the checkpoint (valid items stay) and another peer is tried',
    reading:
      'While the items under a checkpoint are being fetched, and after the connection broke in the middle, the node shows no checkpoint; it fetches the rest later, and only the rest.',
    mutants: [
      'checkpoint-adopted-first',
      'checkpoint-items-unawaited',
      'fetch-all-items',
      'sync-never-again',
    ],
    needs: ['start'],
    durationHintMs: 4_000,
    limitMs: 60_000,
    cpu: 0.4,
    test: async (bench) => {
      const node = await bench.node({ parameters: still });
      const observer = await (await bench.puppet('observer')).join(node);
      const puppet = await bench.puppet('holder');
      const items = Array.from({ length: 300 }, () => puppet.commit());
      const set = itemSet(items);
      const checkpoint = buildCheckpoint(set, [puppet.identity]);
      const hash = String(checkpoint.hash);
      const half = await brokenOff(bench, {
        node,
        holder: await puppet.peer(node, { manners: { items: set } }),
        checkpoint,
        observer,
      });
      const before = new Set(half.map((bare) => `rule_${bare}`));
      bench.step('the holder comes back');
      const back = await puppet.peer(node, { manners: { items: set } });
      offer(back, checkpoint);
      await untilStandingOn(bench, observer, hash, 20_000);
      const again = requests(back.received)
        .flat()
        .filter((each) => before.has(each));
      if (again.length > 0) fail(`asked again for ${again.length} items that it held`);
      const root = await rootOf(observer);
      if (root !== set.root()) fail(`stands on a checkpoint over ${set.root()} with the state ${root}`);
      return pass(
        `broken off with ${before.size} of 300 items, nothing shown; adopted after the other ${300 - before.size}`,
      );
    },
  },
];

/** A peer that holds more than the checkpoint is over: the tree is walked at the checkpoint's root. */
async function atItsRoot(stage: Stage): Promise<void> {
  const { author, honest, items } = stage;
  for (let i = 0; i < 3; i += 1) items.add(author.commit());
  const all = items.bareHashes().map((hash) => items.get(`rule_${hash}`)!);
  honest.manners.items = itemSet([...all, author.commit(), author.commit()]);
  honest.manners.views = [items];
  await adopts(stage, checkpointOn(stage), 20_000);
}

/** The hashes of each request for items. */
const requests = (messages: readonly Message[]): string[][] =>
  messages
    .filter((message) => message.type === 'gossip' && message.payload?.gossip_type === 'request')
    .map((message) => message.payload.item_hashes as string[]);

/** Serves items a moment later, so that a second request in flight shows. */
function servingSlowly(peer: Joined): { most: number } {
  const watch = { most: 0 };
  let pending = 0;
  peer.manners.serveItems = false;
  peer.onMessage((message) => {
    if (message.type !== 'gossip' || message.payload?.gossip_type !== 'request') return;
    pending += 1;
    watch.most = Math.max(watch.most, pending);
    setTimeout(() => {
      pending -= 1;
      if (peer.ended === null) serveItems(peer, message.id, message.payload.item_hashes);
    }, 40);
  });
  return watch;
}

/** Serves two requests and breaks the connection at the third; the node must not show the checkpoint. Returns what it holds. */
async function brokenOff(
  bench: Bench,
  given: { node: NodeUnderTest; holder: Joined; checkpoint: JsonObject; observer: Joined },
): Promise<string[]> {
  const { node, holder, checkpoint, observer } = given;
  const hash = String(checkpoint.hash);
  let count = 0;
  holder.manners.serveItems = false;
  holder.onMessage((message) => {
    if (message.type !== 'gossip' || message.payload?.gossip_type !== 'request') return;
    count += 1;
    if (count <= 2) serveItems(holder, message.id, message.payload.item_hashes);
  });
  const nothingShown = async (when: string): Promise<void> => {
    if ((await standingOn(observer)) !== null) fail(`${when} the node stands on a checkpoint`);
    if ((await checkpointOf(observer, hash)) !== null) fail(`${when} the node serves the checkpoint`);
    const late = await (await bench.puppet('late')).join(node);
    const { height, checkpoint_hash, state_root } = late.outcome.stateSummary.payload;
    if (height !== 0 || checkpoint_hash !== null)
      fail(`${when} the state_summary shows height ${height}, hash ${checkpoint_hash}`);
    const root = stateRoot(await hashesOf(observer));
    if (state_root !== root)
      fail(`${when} the state_summary shows the root ${state_root}, the items ${root}`);
    await late.close();
  };
  offer(holder, checkpoint);
  await bench.waitFor('third request for items', 15_000, () => count >= 3);
  await nothingShown('with half of the items');
  holder.reset();
  await bench.sleep(300, 'the reset reaches the node');
  await nothingShown('after the connection broke');
  const half = await hashesOf(observer);
  if (half.length === 0) fail('of the items served before the connection broke none is held');
  return half;
}
