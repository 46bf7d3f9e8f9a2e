/**
 * "Nothing a peer can send makes a node crash, hang, or grow without bound" (issue 3): hostile frames by the hundred
 * thousand through a real core, hostile orders of events by fast-check, and every input that was ever found, as a case.
 * `FUZZ_INPUTS` (CI: a million) and `FUZZ_SEED` change how many and which.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import fc from 'fast-check';
import { canonical } from '../canonical.ts';
import { JsonError, parse } from '../json.ts';
import type { Json, JsonObject } from '../types.ts';
import { damagedText, honestMessages, hostileFrame, type Random, seeded } from './mutator.ts';
import { createNet, type Net } from './net.ts';
import type { Puppet } from './puppet.ts';
import type { SimNode } from './sim-node.ts';

const total = Number(process.env.FUZZ_INPUTS ?? 100_000);
/** A frame through the core costs thirty times a text through the parser. */
const frames = Math.ceil(total * 0.2);
const texts = total - frames;
const seed = Number(process.env.FUZZ_SEED ?? 20_260_222);
const parameters = {
  antiEntropyIntervalMs: 500,
  checkpointIntervalMs: 5000,
  commitsPerMinute: 3,
  queriesPerMinute: 20,
};
const hello = {
  connection_type: 'persistent',
  capabilities: ['v1', 'gossip', 'sync'],
  address: null,
};

interface Attack {
  net: Net;
  node: SimNode;
  puppets: Puppet[];
  honest: [string, JsonObject][][];
  random: Random;
}

function setUp(attackSeed: number): Attack {
  const net = createNet(attackSeed);
  const node = net.node('n', { parameters });
  const puppets = ['p', 'q', 'r'].map((label) => net.puppet(label));
  for (const puppet of puppets) puppet.dial(node, hello);
  return { net, node, puppets, honest: puppets.map(honestMessages), random: seeded(attackSeed) };
}

/** The node's end of a puppet's newest connection, connected anew if it was closed. */
function linkOf({ net, node }: Attack, puppet: Puppet): number {
  const find = () => [...node.wires.values()].find((wire) => wire.other?.owner === puppet);
  let wire = find();
  if (!wire) {
    net.isCut = () => false;
    puppet.links.length = 0;
    puppet.dial(node, hello);
    wire = find();
  }
  return wire?.id ?? 0;
}

/** Feeds one frame as if it had just come; a frame after which the core throws or never ends is a finding. */
function strike(attack: Attack, frame: string): void {
  const { node, puppets, honest, random } = attack;
  const at = Math.floor(random() * puppets.length);
  const link = linkOf(attack, puppets[at % honest.length]!);
  node.feed({ kind: 'text', link, text: frame, size: Buffer.byteLength(frame) });
}

/** An honest stranger is still served. */
function expectAlive({ net, node }: Attack, label: string): void {
  net.isCut = () => false;
  const stranger = net.puppet(label);
  const link = stranger.dial(node);
  const answer = link.request('sync_digest', {
    root: null,
    prefix: '',
    state_root: '0'.repeat(64),
    item_count: 0,
  });
  expect(answer?.type).to.equal('sync_digest');
  expect(node.core.status().peers).to.be.at.most(50);
  expect(node.core.status().stateRoot).to.match(/^[0-9a-f]{64}$/);
  link.close();
  net.run(200);
}

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  return () => {
    collect();
    collect();
    return process.memoryUsage().heapUsed;
  };
})();

describe('core under fuzz', function () {
  this.timeout(600_000);

  it(`survives ${frames} hostile frames, keeps serving, and stops growing`, () => {
    const batch = 2000;
    let attack = setUp(seed);
    let frame = '';
    let taken = 0;
    const heaps: number[] = [];
    for (let done = 0; done < frames; done += batch) {
      const { net, node, puppets, honest, random } = attack;
      const takenBefore = node.core.counters.envelopesTaken;
      // What the node sends is dropped: it is the receiving that is tested, and dropping is fast.
      net.isCut = () => true;
      for (let i = 0; i < batch; i++) {
        const at = Math.floor(random() * puppets.length);
        frame = hostileFrame(random, puppets[at]!, honest[at]!);
        try {
          const link = linkOf(attack, puppets[at]!);
          net.isCut = () => true;
          node.feed({ kind: 'text', link, text: frame, size: Buffer.byteLength(frame) });
        } catch (error) {
          throw new Error(`seed ${seed}, frame ${done + i}: ${JSON.stringify(frame)}`, { cause: error });
        }
        if (i % 100 === 0) net.run(random() < 0.1 ? 11_000 : 50);
      }
      taken += node.core.counters.envelopesTaken - takenBefore;
      expectAlive(attack, `stranger-${done}`);
      if (done % (batch * 10) === 0) heaps.push(collectGarbage());
      // A net of its own now and then, so that a full routing table is not the only state there is.
      if (done % (batch * 50) === batch * 49) attack = setUp(seed + done);
    }
    // The handlers were reached, not only the refusals before them.
    expect(taken).to.be.greaterThan(frames / 50);
    // Bounded: what the second half of the run adds is noise, not a leak of so many bytes per frame.
    const middle = heaps[Math.floor(heaps.length / 2)]!;
    expect(heaps.at(-1)! - middle).to.be.below(40_000_000);
  });

  it(`parses none of ${texts} texts differently from JSON.parse, and what it refuses besides is what §2 lists`, () => {
    const random = seeded(seed);
    const net = createNet(7);
    const honest = honestMessages(net.puppet('p')).map(([, payload]) => canonical(payload));
    for (let i = 0; i < texts; i++) {
      const text = damagedText(random, honest[i % honest.length]!, honest[(i * 7) % honest.length]!);
      const native = outcome(() => JSON.parse(text) as unknown);
      const own = outcome(() => parse(text));
      if (own.error && !(own.error instanceof JsonError)) throw own.error;
      if (native.error && !own.error) expect.fail(`taken though it is no JSON: ${text}`);
      if (own.error) continue;
      // What both take means the same, and the canonical form is a fixed point.
      const printed = canonical(own.value as Json);
      const again: unknown = JSON.parse(printed);
      // But for `-0`, which prints `0` (§3.1).
      const same =
        isDeepStrictEqual(again, native.value) ||
        isDeepStrictEqual(unsignedZeros(again), unsignedZeros(native.value));
      if (!same) expect.fail(`${text} was read as ${printed}`);
      if (canonical(parse(printed)) !== printed) expect.fail(`${printed} is not printed as it was read`);
    }
  });

  it('survives hostile orders of events', () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constant('frame' as const), by: fc.nat(2), seed: fc.nat() }),
      fc.record({ kind: fc.constant('honest' as const), by: fc.nat(2), message: fc.nat(60) }),
      fc.record({
        kind: fc.constant('time' as const),
        ms: fc.constantFrom(1, 60, 1100, 6000, 31_000, 95_000),
      }),
      fc.record({ kind: fc.constant('close' as const), by: fc.nat(2) }),
      fc.record({
        kind: fc.constant('again' as const),
        by: fc.nat(2),
        type: fc.constantFrom('persistent', 'sync', 'gossip', 'bootstrap'),
      }),
      fc.record({ kind: fc.constant('binary' as const), by: fc.nat(2) }),
      fc.record({ kind: fc.constant('pressed' as const), by: fc.nat(2) }),
      fc.record({ kind: fc.constant('drained' as const), by: fc.nat(2) }),
      fc.record({ kind: fc.constant('disk' as const), full: fc.boolean(), hold: fc.boolean() }),
      fc.record({ kind: fc.constant('cut' as const), cut: fc.boolean() }),
      fc.record({ kind: fc.constant('restart' as const) }),
    );
    fc.assert(
      fc.property(fc.array(event, { minLength: 5, maxLength: 60 }), fc.nat(), (events, start) => {
        const attack = setUp(start);
        const { net, node, puppets, honest } = attack;
        for (const each of events) {
          const puppet = 'by' in each ? puppets[each.by]! : puppets[0]!;
          const link = [...node.wires.values()].find((wire) => wire.other?.owner === puppet)?.id;
          if (each.kind === 'time') net.run(each.ms);
          else if (each.kind === 'cut') net.isCut = () => each.cut;
          else if (each.kind === 'restart') {
            net.kill(node);
            net.restart(node);
          } else if (each.kind === 'disk') {
            node.diskFull = each.full;
            node.holdWrites = each.hold;
            if (!each.hold) for (const write of node.heldWrites.splice(0)) write();
          } else if (each.kind === 'again') {
            net.isCut = () => false;
            puppet.dial(node, { ...hello, connection_type: each.type });
          } else if (link !== undefined) {
            if (each.kind === 'close') node.feed({ kind: 'closed', link, code: 1006 });
            else if (each.kind === 'binary' || each.kind === 'pressed' || each.kind === 'drained') {
              node.feed({ kind: each.kind, link });
            } else {
              const random = seeded(each.kind === 'frame' ? each.seed : 0);
              const [type, payload] =
                honest[each.by]![each.kind === 'honest' ? each.message % honest[each.by]!.length : 0]!;
              const text =
                each.kind === 'frame'
                  ? hostileFrame(random, puppet, honest[each.by]!)
                  : canonical(puppet.seal(type, payload));
              node.feed({ kind: 'text', link, text, size: Buffer.byteLength(text) });
            }
          }
        }
        node.diskFull = false;
        node.holdWrites = false;
        for (const write of node.heldWrites.splice(0)) write();
        expectAlive(attack, 'stranger');
      }),
      { numRuns: 300, seed },
    );
  });

  const folder = new URL('./cases/', import.meta.url);
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
    const found = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as {
      note: string;
      frames: string[];
    };
    it(`case ${file}: ${found.note}`, () => {
      const attack = setUp(1);
      for (const frame of found.frames) strike(attack, frame);
      attack.net.run(2000);
      expectAlive(attack, 'stranger');
    });
  }
});

function outcome(run: () => unknown): { value?: unknown; error?: unknown } {
  try {
    return { value: run() };
  } catch (error) {
    return { error };
  }
}

function unsignedZeros(value: unknown): unknown {
  if (value === 0) return 0;
  if (Array.isArray(value)) return value.map(unsignedZeros);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, unsignedZeros(member)]));
}
