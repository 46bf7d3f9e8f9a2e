/** Durability: what was acknowledged survives kill −9 at any moment, and a torn end of the store costs nothing before it. */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Connection } from '../../harness/wire/connection.ts';
import { itemRequest } from '../../harness/wire/gossip.ts';
import type { Item } from '../../harness/wire/items.ts';
import type { Bench } from '../bench.ts';
import { accepted } from '../expect.ts';
import type { Puppet } from '../puppet.ts';
import { fail, inconclusive, late, notApplicable, pass, type Requirement } from '../requirement.ts';
import type { NodeControl, NodeUnderTest } from '../target.ts';

const killsWanted = 100;
const lanes = 4;
/** A node that takes a second to start, or a busy host, gets fewer; all of them with --thorough. */
const budgetMs = 9_000;
/** No bound is set on how long a node takes to start: one that needs long gets these all the same. */
const leastKills = 12;
const thorough = { durationHintMs: 20_000, limitMs: 900_000, cpu: 1 };
const quietNode = {
  parameters: { commits_per_minute: 1_000_000, checkpoint_interval_s: 0, anti_entropy_interval_s: 0 },
};

/** Which of these the node serves, asked for until each has been served or named missing. */
async function heldOf(connection: Connection, hashes: Iterable<string>): Promise<Set<string>> {
  const left = new Set(hashes);
  const held = new Set<string>();
  while (left.size > 0) {
    const before = left.size;
    const asked = [...left].slice(0, 100);
    const answer = await connection.request('gossip', itemRequest(connection.puppet.identity.nodeId, asked), {
      withinMs: 15_000,
    });
    const named: string[] = answer.payload?.item_hashes ?? [];
    const missing: string[] = answer.payload?.missing ?? [];
    if (named.length + missing.length === 0) fail('a gossip request was not answered', answer.text);
    for (const hash of named) if (left.delete(hash)) held.add(hash);
    for (const hash of missing) left.delete(hash);
    if (left.size === before)
      fail('a gossip request was answered about none of the hashes asked', answer.text);
  }
  return held;
}

async function startAgain(control: NodeControl, what: string): Promise<void> {
  await control.start().catch((error: Error) => fail(`${what} ${error.message}`));
}

interface Lane {
  node: NodeUnderTest;
  author: Puppet;
  /** To the present life of the node. */
  connection: Connection;
  acknowledged: Set<string>;
  kills: number;
  /** How long a commit takes here, ms. */
  typicalMs: number;
}

/** Commits flow until the node is killed: at a random instant, or right after a random one of its answers. */
async function commitAndKill(bench: Bench, lane: Lane, index: number): Promise<Set<string>> {
  const { author, node, connection } = lane;
  const fresh = new Set<string>();
  const waiting = new Map<string, { item: Item; sentAt: number }>();
  let over = false;
  const send = (): void => {
    const item = author.commit();
    waiting.set(item.messageId, { item, sentAt: performance.now() });
    connection.sendEnvelope(item.envelope);
  };
  const killAfter = index % 2 === 0 ? null : 1 + bench.random.below(12);
  let kill: (value: undefined) => void = () => {};
  const due = new Promise<undefined>((resolve) => {
    kill = resolve;
  });
  connection.onMessage((message) => {
    const answered = message.requestId === null ? undefined : waiting.get(message.requestId);
    if (answered === undefined) return;
    if (message.payload?.status !== 'accepted') return;
    fresh.add(answered.item.hash);
    lane.typicalMs = (3 * lane.typicalMs + performance.now() - answered.sentAt) / 4;
    if (fresh.size === killAfter) kill(undefined);
    if (!over) send();
  });
  for (let i = 0; i < 3; i += 1) send();
  const wait = killAfter === null ? 2 + bench.random.float() * 8 * lane.typicalMs : 10_000;
  // The end of the connection, at the latest by the kill, ends the wait.
  await Promise.race([due, connection.closedWithin(wait)]);
  over = true;
  await node.control!.kill();
  // Answers that were on the way when it died have been given.
  await connection.closedWithin(5_000);
  return fresh;
}

async function runLane(bench: Bench, lane: Lane, goesOn: () => boolean): Promise<void> {
  const control = lane.node.control!;
  while (lane.kills < killsWanted / lanes && goesOn()) {
    const fresh = await commitAndKill(bench, lane, lane.kills);
    lane.kills += 1;
    await startAgain(control, `after kill -9 number ${lane.kills}`);
    lane.connection = await lane.author.join(lane.node);
    const held = await heldOf(lane.connection, fresh);
    const lost = [...fresh].filter((hash) => !held.has(hash));
    if (lost.length > 0)
      fail(
        `${lost.length} of ${fresh.size} acknowledged commits are gone after kill -9 number ${lane.kills}`,
        lost,
      );
    for (const hash of fresh) lane.acknowledged.add(hash);
  }
}

export const rows: readonly Requirement[] = [
  {
    id: 'DUR-01',
    level: 'must',
    section: 'F3',
    role: 'n',
    quote: 'After `kill -9` everything acknowledged is still in `data_dir`',
    reading:
      'A node is killed up to a hundred times while commits flow, at random instants and right after an answer; every commit that was answered is served after the restart, and still after all of them.',
    ruling: 'Profile §6: the answer to a commit comes "after the item is durable".',
    mutants: [
      'answers-before-stored',
      'store-writes-later',
      'store-forgets-on-restart',
      'restart-drops-last',
    ],
    needs: ['start', 'restart', 'instances'],
    durationHintMs: 12_000,
    limitMs: 120_000,
    cpu: 1,
    thorough,
    test: async (bench) => {
      const nodes = await bench.nodes(lanes, () => quietNode);
      const until = bench.thorough ? Number.POSITIVE_INFINITY : performance.now() + budgetMs;
      const all = await Promise.all(
        nodes.map(async (node, index): Promise<Lane> => {
          const author = await bench.puppet(`author-${index + 1}`, { unrecorded: true });
          const connection = await author.join(node);
          return { node, author, connection, acknowledged: new Set(), kills: 0, typicalMs: 5 };
        }),
      );
      bench.step('killing and starting again');
      const killed = (): number => all.reduce((sum, lane) => sum + lane.kills, 0);
      const goesOn = (): boolean => performance.now() < until || killed() < leastKills;
      await Promise.all(all.map((lane) => runLane(bench, lane, goesOn)));
      let acknowledged = 0;
      for (const lane of all) {
        const held = await heldOf(lane.connection, lane.acknowledged);
        acknowledged += held.size;
        const lost = lane.acknowledged.size - held.size;
        if (lost > 0)
          fail(`${lost} of ${lane.acknowledged.size} acknowledged commits were lost by later restarts`);
      }
      const kills = killed();
      if (acknowledged < kills) late(`only ${acknowledged} commits were acknowledged between ${kills} kills`);
      return pass(`${acknowledged} acknowledged commits survived ${kills} kills on ${lanes} instances`);
    },
  },
  {
    id: 'DUR-02',
    level: 'must',
    section: 'F3',
    role: 'n',
    quote: 'a torn last record is dropped, nothing before it.',
    reading:
      'The file to which the last commit was appended is cut inside that commit, or ends in zeros in its place (its length reached the disk, its bytes did not): the node starts, holds everything before it, the torn one whole or not at all, and keeps what it takes afterwards.',
    ruling:
      'Only a file that grew by the last commit and did not change before its old end can be torn there; a store without one is not judged.',
    mutants: [
      'torn-tail-crashes',
      'torn-tail-loses-all',
      'torn-tail-glued',
      'torn-tail-served',
      'zeroed-tail-loses-all',
      'damaged-tail-loses-all',
    ],
    needs: ['start', 'restart', 'data-dir'],
    durationHintMs: 6_000,
    limitMs: 90_000,
    cpu: 0.5,
    test: async (bench) => {
      const node = await bench.node(quietNode);
      const control = node.control!;
      const author = await bench.puppet('author');
      const writing = await author.join(node);
      const before: Item[] = [];
      for (let i = 0; i < 6; i += 1) {
        const item = author.commit();
        await accepted(writing, item);
        before.push(item);
      }
      const older = filesIn(control.dataDir);
      const last = author.commit();
      await accepted(writing, last);
      await control.kill();
      const newer = filesIn(control.dataDir);
      const tail = grownFile(older, newer, last);
      const damages = damagesOf(tail, isLevelDb(control.dataDir, tail.path));
      for (const [what, damage] of damages) {
        bench.step(what);
        restore(control.dataDir, newer);
        damage(join(control.dataDir, tail.path));
        await survives(node, author, what, before, last);
      }
      return pass(
        `${damages.length} torn ends of ${tail.path} (${tail.to - tail.from} bytes) cost only their own item`,
      );
    },
  },
];

/** After the damage: all before it is there, the torn item whole or absent; what is taken now survives another kill. */
async function survives(
  node: NodeUnderTest,
  author: Puppet,
  what: string,
  before: readonly Item[],
  last: Item,
): Promise<void> {
  const control = node.control!;
  await startAgain(control, `with ${what}`);
  const reader = await author.join(node);
  const hashes = before.map(({ hash }) => hash);
  const held = await heldOf(reader, hashes);
  if (held.size < hashes.length)
    fail(`with ${what} ${hashes.length - held.size} of ${hashes.length} commits before it are lost`);
  const answer = await reader.request('gossip', itemRequest(author.nodeId, [last.hash]));
  for (const item of answer.payload?.items ?? [])
    if (item?.signature !== last.envelope.signature || item?.message_id !== last.messageId)
      fail(`with ${what} the torn commit is served broken`, answer.text);
  const next = author.commit();
  await accepted(reader, next);
  await accepted(reader, last, 'either');
  await control.kill();
  await startAgain(control, `again after ${what}`);
  const again = await author.join(node);
  const wanted = [...hashes, next.hash, last.hash];
  const left = await heldOf(again, wanted);
  if (left.size < wanted.length)
    fail(`${wanted.length - left.size} of ${wanted.length} commits are lost at the next start after ${what}`);
  await control.kill();
}

type Files = ReadonlyMap<string, Buffer>;

function filesIn(folder: string): Files {
  const files = new Map<string, Buffer>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name);
    if (statSync(path).isFile()) files.set(relative(folder, path), readFileSync(path));
  }
  return files;
}

function restore(folder: string, files: Files): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
  for (const [name, bytes] of files) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
}

interface Tail {
  path: string;
  /** Where the last record begins and ends. */
  from: number;
  to: number;
}

/** The file that grew by the last commit. If several did, the one in which the commit can be read. */
function grownFile(older: Files, newer: Files, last: Item): Tail {
  const grown: Tail[] = [];
  for (const [path, bytes] of newer) {
    const old = older.get(path);
    if (old === undefined || bytes.length <= old.length) continue;
    if (bytes.subarray(0, old.length).equals(old)) grown.push({ path, from: old.length, to: bytes.length });
  }
  if (grown.length === 1) return grown[0]!;
  const readable = grown.filter(({ path, from }) => newer.get(path)!.includes(last.messageId, from));
  if (readable.length === 1) return readable[0]!;
  return notApplicable(
    `the store has no file that just grows: ${grown.length} grew by the last commit, so none can be torn as a crash would`,
  );
}

function isLevelDb(dataDir: string, path: string): boolean {
  return path.endsWith('.log') && existsSync(join(dataDir, dirname(path), 'CURRENT'));
}

function damagesOf(tail: Tail, isLog: boolean): readonly [what: string, damage: (path: string) => void][] {
  const { from, to } = tail;
  const size = to - from;
  const cut = (what: string, at: number): [string, (path: string) => void] => [
    what,
    (path) => truncateSync(path, at),
  ];
  const overwritten = (what: string, begin: number, end: number): [string, (path: string) => void] => [
    what,
    (path) => {
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.fill(0, begin, end));
    },
  ];
  if (size < 8) inconclusive(`the last commit took ${size} bytes of ${tail.path}`);
  return [
    cut('the last byte cut off', to - 1),
    cut('half of the last record cut off', from + Math.floor(size / 2)),
    cut('all but three bytes of the last record cut off', from + 3),
    overwritten('zeros in the second half of the last record', from + Math.floor(size / 2), to),
    ...(isLog
      ? [
          overwritten(
            'a zero in the middle of the last record',
            from + Math.floor(size / 2),
            from + Math.floor(size / 2) + 4,
          ),
        ]
      : []),
  ];
}
