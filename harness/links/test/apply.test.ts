/** Applying faults when proof or cure goes wrong: what took effect can be lifted, and a receipt says no more than was learnt. */

import { expect } from 'chai';
import type { Receipt } from '../../engine.ts';
import { applier, takingTurns } from '../apply.ts';
import type { FaultPlane, LinkFault, Pair } from '../fault-plane.ts';
import { mergedToxics } from '../fault-toxics.ts';
import { makeLink } from '../link.ts';
import type { LinkDialler, ProbeResult } from '../probe.ts';
import {
  type ProxyChange,
  type ProxyState,
  type ToxicSettings,
  type ToxiproxyClient,
  ToxiproxyError,
} from '../toxiproxy-client.ts';

const links = ['a>b', 'b>a', 'a>c'].map((name) => {
  const [from, to] = name.split('>') as [string, string];
  return { from, to, listen: '127.0.0.1:1', upstream: '127.0.0.1:2' };
});
const pairs: Pair[] = links.map(({ from, to }) => ({ from, to }));

/** A server in memory, without counters as a real one; `fails` says of a call why it is to fail. */
function fakeServer(fails: (call: 'proxies' | 'change', changes: readonly ProxyChange[]) => Error | null): {
  client: ToxiproxyClient;
  proxies: Map<string, ProxyState>;
} {
  const proxies = new Map<string, ProxyState>(
    links.map(({ from, to, listen, upstream }) => [
      `${from}>${to}`,
      { name: `${from}>${to}`, listen, upstream, enabled: true, toxics: [] },
    ]),
  );
  const attempt = (call: 'proxies' | 'change', changes: readonly ProxyChange[] = []): void => {
    const error = fails(call, changes);
    if (error !== null) throw error;
  };
  const one = (change: ProxyChange): void => {
    const { name, enabled, add = [], update = [], remove = [] } = change;
    const proxy = proxies.get(name)!;
    const fresh = [...add, ...update] as Required<ToxicSettings>[];
    const replaced = new Set([...fresh.map((toxic) => toxic.name), ...remove]);
    proxy.toxics = [...proxy.toxics.filter((toxic) => !replaced.has(toxic.name)), ...fresh];
    proxy.enabled = enabled ?? proxy.enabled;
  };
  const client = {
    url: 'http://fake',
    async version() {
      return { version: '2.12.0', superset: false };
    },
    async proxies() {
      attempt('proxies');
      return structuredClone(Object.fromEntries(proxies));
    },
    async usedLinks() {
      return null;
    },
    async link() {
      return null;
    },
    async change(changes: readonly ProxyChange[]) {
      // Call by call, so that a failure leaves half of it done.
      for (const change of changes) {
        attempt('change', [change]);
        one(change);
      }
    },
  } as Partial<ToxiproxyClient> as ToxiproxyClient;
  return { client, proxies };
}

const sees = (result: Partial<ProbeResult>): LinkDialler => ({
  async probe() {
    const nothing = { connected: true, roundTripMs: null, firstPieceBytes: 0, closeMs: null };
    return { outcome: 'silent', ...nothing, ...result };
  },
  async hold() {
    throw new Error('nobody there');
  },
});

function applyOver(client: ToxiproxyClient, dialler: LinkDialler | null): FaultPlane['apply'] {
  const ground = {
    client,
    links: links.map((address) => makeLink(address, '')),
    hello: Buffer.alloc(300),
    dialler,
    compose: mergedToxics,
  };
  return applier(ground, takingTurns());
}

const evidence = ({ evidence: of }: Receipt) =>
  of as {
    proved: boolean | null;
    by?: string;
    unproved?: string;
    probes: { proved: boolean | null; because?: string }[];
  };

describe('applying faults', () => {
  it('hands out the cure of what could not be proved, and says why it could not', async () => {
    let deaf = true;
    const { client, proxies } = fakeServer((call) =>
      deaf && call === 'proxies' ? new ToxiproxyError(0, 'no answer') : null,
    );
    const { receipt, cure } = await applyOver(client, null)(pairs, { kind: 'down' });
    expect(evidence(receipt)).to.include({ proved: null, unproved: 'no answer' });
    expect([...proxies.values()].map(({ enabled }) => enabled)).to.deep.equal([false, false, false]);
    deaf = false;
    expect(evidence(await cure())).to.include({ proved: true, by: 'server' });
    expect([...proxies.values()].map(({ enabled }) => enabled)).to.deep.equal([true, true, true]);
  });

  it('rests on the server where the dialler gives no answer', async () => {
    const starved = {
      ...sees({}),
      async probe(): Promise<never> {
        throw new Error('the container gave no answer');
      },
    };
    const { receipt } = await applyOver(fakeServer(() => null).client, starved)(pairs, { kind: 'cut' });
    expect(evidence(receipt)).to.include({ proved: true, by: 'server' });
    expect(evidence(receipt).probes[0]).to.include({ proved: null, because: 'the container gave no answer' });
  });

  it('lifts at a second try what could not be lifted at the first', async () => {
    let refuses = false;
    const { client, proxies } = fakeServer((call) =>
      refuses && call === 'change' ? new Error('not now') : null,
    );
    const { cure } = await applyOver(client, null)(pairs, { kind: 'down' });
    refuses = true;
    const first = await cure().then(
      () => 'cured',
      (error: Error) => error.message,
    );
    refuses = false;
    expect(first).to.equal('not now');
    await cure();
    expect([...proxies.values()].every(({ enabled }) => enabled)).to.equal(true);
  });

  it('leaves no link off after a reset, though switching one on again failed', async () => {
    let failures = 0;
    const { client, proxies } = fakeServer((call, [change]) => {
      if (call !== 'change' || change?.enabled !== true || failures > 0) return null;
      failures += 1;
      return new ToxiproxyError(500, 'address already in use');
    });
    const { receipt } = await applyOver(client, null)(pairs, { kind: 'reset' });
    expect(evidence(receipt).proved, 'nothing was held').to.equal(null);
    expect([...proxies.values()].every(({ enabled }) => enabled)).to.equal(true);
  });

  it('leaves no link off after a reset that only half of them took', async () => {
    const { client, proxies } = fakeServer((_, [change]) =>
      change?.name === 'b>a' && change.enabled === false ? new ToxiproxyError(500, 'no') : null,
    );
    const failed = await applyOver(client, null)(pairs, { kind: 'reset' }).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(failed).to.equal('no');
    expect([...proxies.values()].every(({ enabled }) => enabled)).to.equal(true);
  });

  const latency: LinkFault = { kind: 'latency', latencyMs: 100, jitterMs: 0 };
  const slice: LinkFault = { kind: 'slice', bytes: 100, delayUs: 1000 };
  const answered = (roundTripMs: number, more: Partial<ProbeResult> = {}): Partial<ProbeResult> => ({
    outcome: 'answered',
    roundTripMs,
    firstPieceBytes: 900,
    ...more,
  });
  const cases: [string, LinkFault, Partial<ProbeResult>, boolean | null, boolean | null][] = [
    ['an answer that came too soon', latency, answered(5), false, true],
    ['no answer in time where one was due', latency, {}, null, null],
    [
      'a refused connection where one was due',
      latency,
      { outcome: 'refused', connected: false },
      false,
      false,
    ],
    ['an answer through a cut', { kind: 'cut' }, answered(5), false, true],
    ['neither yes nor no of a link that is down', { kind: 'down' }, { connected: false }, null, null],
    ['a connection through a link that is down', { kind: 'down' }, answered(5), false, true],
    ['a late close', { kind: 'slow-close', delayMs: 200 }, answered(5, { closeMs: 300 }), true, null],
    ['a prompt close', { kind: 'slow-close', delayMs: 200 }, answered(5, { closeMs: 9 }), false, true],
    ['a small piece', slice, answered(5, { firstPieceBytes: 80 }), true, null],
    ['a large piece', slice, answered(5), null, true],
  ];
  for (const [what, fault, seen, struck, cured] of cases) {
    it(`judges ${what}: ${struck} of the fault, ${cured} of its cure`, async () => {
      const { receipt, cure } = await applyOver(fakeServer(() => null).client, sees(seen))(pairs, fault);
      expect(evidence(receipt).probes.map(({ proved }) => proved)).to.deep.equal([struck, struck, struck]);
      expect(evidence(receipt).proved).to.equal(struck !== false);
      const lifted = evidence(await cure());
      expect(lifted.probes[0]!.proved).to.equal(cured);
      expect(lifted.proved).to.equal(cured !== false);
    });
  }
});
