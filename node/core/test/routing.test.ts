import { expect } from 'chai';
import fc from 'fast-check';
import { commonBits, RoutingTable } from '../routing.ts';

const own = `node_${'0'.repeat(40)}`;
/** A node id whose distance from `own` lies in the bucket of `bits` common bits. */
const idAt = (bits: number, serial: number) => {
  const value = (1n << BigInt(159 - bits)) | BigInt(serial);
  return `node_${value.toString(16).padStart(40, '0')}`;
};
const silenceMs = 90_000;
const table = (size = 3) => new RoutingTable(own, size, silenceMs);
const ids = (routing: RoutingTable) => [...routing.all()].map((node) => node.nodeId).sort();
let drawn = 0;
const random = () => {
  drawn = (drawn * 16807 + 11) % 2147483647;
  return drawn / 2147483647;
};

describe('the routing table (§5)', () => {
  it('counts the bits that two ids have in common', () => {
    for (const bits of [0, 1, 3, 4, 5, 100, 159]) expect(commonBits(own, idAt(bits, 0))).to.equal(bits);
    expect(commonBits(own, own)).to.equal(160);
    expect(commonBits('node_8f', 'node_8f'.padEnd(45, '0'))).to.be.greaterThan(7);
  });

  it('holds no more than the bucket size, per distance', () => {
    const routing = table(20);
    for (let i = 0; i < 1000; i++) routing.heardOf(idAt(0, i), `host:${i}`, 0);
    expect(routing.size).to.equal(20);
    for (let i = 0; i < 1000; i++) routing.met(idAt(1, i), `host:${i}`, 0);
    expect(routing.size).to.equal(40);
    expect(routing.met(own, 'me:1', 0)).to.equal(false);
    expect(routing.size).to.equal(40);
  });

  it('keeps a verified entry that answers against everybody', () => {
    const routing = table();
    for (const i of [1, 2, 3]) routing.met(idAt(0, i), `host:${i}`, 0);
    expect(routing.heardOf(idAt(0, 4), 'host:4', 1e9), 'unverified').to.equal(false);
    expect(routing.met(idAt(0, 4), 'host:4', silenceMs - 1), 'verified, before the silence').to.equal(false);
    expect(ids(routing)).to.deep.equal([1, 2, 3].map((i) => idAt(0, i)));
    expect(routing.heardOf(idAt(0, 1), 'liar:1', 0)).to.equal(false);
    expect(routing.get(idAt(0, 1))!.address).to.equal('host:1');
  });

  it('replaces the least recently seen, if it is silent', () => {
    const routing = table();
    for (const i of [1, 2, 3]) routing.met(idAt(0, i), `host:${i}`, i);
    routing.seen(idAt(0, 1), 10);
    expect(routing.met(idAt(0, 4), 'host:4', silenceMs + 2)).to.equal(true);
    expect(ids(routing)).to.deep.equal([1, 3, 4].map((i) => idAt(0, i)));
    expect(routing.met(idAt(0, 5), 'host:5', silenceMs + 2), 'the next one is not silent yet').to.equal(
      false,
    );
  });

  it('replaces the least recently seen, if its last dial failed', () => {
    const routing = table();
    for (const i of [1, 2, 3]) routing.met(idAt(0, i), `host:${i}`, i);
    routing.dialFailed(idAt(0, 2));
    expect(routing.met(idAt(0, 4), 'host:4', 4), 'failed, but not the least recently seen').to.equal(false);
    routing.dialFailed(idAt(0, 1));
    expect(routing.heardOf(idAt(0, 4), 'host:4', 4), 'an unverified one never').to.equal(false);
    expect(routing.met(idAt(0, 4), 'host:4', 4)).to.equal(true);
    expect(ids(routing)).to.deep.equal([2, 3, 4].map((i) => idAt(0, i)));
  });

  it('gives up unverified entries first', () => {
    const routing = table();
    routing.heardOf(idAt(0, 1), 'host:1', 100);
    routing.met(idAt(0, 2), 'host:2', 0);
    routing.met(idAt(0, 3), 'host:3', 1);
    expect(routing.heardOf(idAt(0, 4), 'host:4', 200)).to.equal(true);
    expect(ids(routing)).to.deep.equal([2, 3, 4].map((i) => idAt(0, i)));
    expect(routing.met(idAt(0, 5), 'host:5', 200)).to.equal(true);
    expect(ids(routing)).to.deep.equal([2, 3, 5].map((i) => idAt(0, i)));
  });

  it('corrects the address of an unverified entry once it failed, of a verified one by its hello', () => {
    const routing = table();
    expect(routing.heardOf(idAt(0, 1), 'wrong:1', 0)).to.equal(true);
    expect(routing.heardOf(idAt(0, 1), 'right:1', 0)).to.equal(false);
    routing.dialFailed(idAt(0, 1));
    expect(routing.heardOf(idAt(0, 1), 'right:1', 0)).to.equal(true);
    expect(routing.get(idAt(0, 1))).to.include({ address: 'right:1', dialFailed: false });
    routing.met(idAt(0, 1), 'own:1', 5);
    expect(routing.heardOf(idAt(0, 1), 'right:1', 0)).to.equal(false);
    expect(routing.get(idAt(0, 1))).to.include({ address: 'own:1', verified: true, seenAtMs: 5 });
    routing.forget(idAt(0, 1));
    routing.forget(idAt(0, 1));
    expect(routing.get(idAt(0, 1))).to.equal(undefined);
    expect(routing.heardOf(idAt(0, 1), 'right:1', 0)).to.equal(true);
  });

  it('gives no place to who has no address, and believes nobody else’s word of one', () => {
    const routing = table(2);
    for (let i = 0; i < 5; i++) expect(routing.met(idAt(0, i), null, 0)).to.equal(false);
    expect(routing.size).to.equal(0);
    expect(routing.heardOf(idAt(0, 1), 'host:1', 0)).to.equal(false);
    for (const i of [5, 6]) expect(routing.heardOf(idAt(0, i), `host:${i}`, 0)).to.equal(true);
    expect(routing.met(idAt(0, 5), null, 0)).to.equal(false);
    expect(ids(routing)).to.deep.equal([idAt(0, 6)]);
    expect(routing.met(idAt(0, 1), 'host:1', 0)).to.equal(true);
    expect(ids(routing)).to.deep.equal([1, 6].map((i) => idAt(0, i)));
  });

  it('lists at most 50, met, answering, with an address, not the asker', () => {
    const routing = new RoutingTable(own, 200, silenceMs);
    const good = Array.from({ length: 80 }, (_, i) => idAt(0, i));
    for (const id of good) routing.met(id, 'host:1', 0);
    const heard = idAt(1, 1);
    const [failed, hidden, asker] = [idAt(1, 2), idAt(1, 3), good[0]!];
    routing.heardOf(heard, 'host:1', 0);
    routing.met(failed, 'host:1', 0);
    routing.dialFailed(failed);
    routing.met(hidden, null, 0);
    const listed = new Set<string>();
    for (let i = 0; i < 40; i++) {
      const list = routing.peerList(asker, random).map((node) => node.nodeId);
      expect(list).to.have.length(50);
      expect(new Set(list)).to.have.property('size', 50);
      for (const id of list) listed.add(id);
    }
    expect([...listed].sort()).to.deep.equal(good.slice(1).sort());
    routing.met(failed, 'host:1', 0);
    expect(routing.get(failed)!.dialFailed).to.equal(false);
  });

  it('picks at random, each as likely as another', () => {
    const routing = table(10);
    for (let i = 0; i < 10; i++) routing.met(idAt(0, i), 'host:1', 0);
    const hits = new Map<string, number>();
    for (let i = 0; i < 3000; i++) {
      for (const node of routing.pick(3, random, (node) => node.nodeId !== idAt(0, 9))) {
        hits.set(node.nodeId, (hits.get(node.nodeId) ?? 0) + 1);
      }
    }
    expect(hits.size).to.equal(9);
    for (const count of hits.values()) expect(count).to.be.within(850, 1150);
    expect(routing.pick(100, random, () => true)).to.have.length(10);
    expect(routing.pick(0, random, () => true)).to.deep.equal([]);
  });

  it('never loses a fresh verified entry to anything', () => {
    const step = fc.record({
      do: fc.constantFrom(
        'met' as const,
        'heardOf' as const,
        'seen' as const,
        'dialFailed' as const,
        'forget' as const,
      ),
      bits: fc.nat(2),
      serial: fc.nat(8),
      afterMs: fc.nat(60_000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        const routing = table();
        let nowMs = 0;
        for (const { do: what, bits, serial, afterMs } of steps) {
          nowMs += afterMs;
          const id = idAt(bits, serial);
          const safe = [...routing.all()]
            .filter((node) => node.verified && !node.dialFailed && nowMs - node.seenAtMs < silenceMs)
            .map((node) => ({ ...node }));
          if (what === 'met') routing.met(id, `host:${serial}`, nowMs);
          else if (what === 'heardOf') routing.heardOf(id, `liar:${serial}`, nowMs);
          else if (what === 'seen') routing.seen(id, nowMs);
          else routing[what](id);
          for (const node of safe) {
            if (node.nodeId === id) continue;
            expect(routing.get(node.nodeId)).to.deep.equal(node);
          }
          for (const bits of [0, 1, 2]) {
            const inBucket = [...routing.all()].filter((node) => commonBits(own, node.nodeId) === bits);
            expect(inBucket.length).to.be.at.most(3);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
