/** The forger against a connection that refuses at its own pace. */
import { expect } from 'chai';
import { createAuthority } from '../../harness/wire/authority.ts';
import { createPuppet } from '../../harness/wire/puppet.ts';
import { badSignatures, mustClose } from '../adversaries/forgeries.ts';
import type { Attack } from '../adversaries.ts';

/** What came of one connection to a node that takes `pauseMs` for each refusal and closes after `closesAfter` of them. */
async function outcomesOf(pauseMs: number, closesAfter: number): Promise<Record<string, number>> {
  const puppet = await createPuppet(await createAuthority({ seed: 'forgeries' }));
  const stopping = new AbortController();
  const outcomes: Record<string, number> = {};
  let refused = 0;
  const closed = { how: 'close', code: 4400 };
  const connection = {
    get ended() {
      return refused >= closesAfter ? closed : null;
    },
    sendEnvelope: () => '',
    async answer() {
      // The slow node's answers are dated, not awaited.
      refused += 1;
      if (refused > closesAfter) throw new Error('ended');
      return { errorCode: 'INVALID_SIGNATURE', at: performance.now() + refused * pauseMs };
    },
    closedWithin: async () => connection.ended,
    destroy: () => stopping.abort(),
  };
  const attack = {
    record: { forbidden: [] },
    signal: stopping.signal,
    puppet: async () => puppet,
    join: async () => connection,
    answered: (_: string, outcome: string) => {
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    },
  };
  await badSignatures(attack as unknown as Attack, { gentle: 0, burst: 110 });
  return outcomes;
}

describe('the forger', () => {
  it('asks a prompt node to close, and one that takes its time for nothing', async () => {
    expect(await outcomesOf(0, 100)).to.deep.equal({ INVALID_SIGNATURE: 100, 'close 4400': 1 });
    expect(await outcomesOf(1, 1_000)).to.deep.equal({ INVALID_SIGNATURE: 110, 'not closed': 1 });
    expect(await outcomesOf(120, 1_000)).to.deep.equal({ INVALID_SIGNATURE: 110 });
  }).timeout(30_000);

  it('is sure of the time by what it sent first and read last', () => {
    const at = (sentAt: number, readAt: number) => ({ sentAt, readAt });
    const burst = Array.from({ length: 100 }, (_, n) => at(0, 9_000 + n));
    expect(mustClose(burst)).to.equal(true);
    expect(mustClose(burst.slice(1))).to.equal(false);
    // A hundred read in an instant after a stall of ours may have been refused over a longer time.
    expect(mustClose(burst.map(() => at(0, 10_001)))).to.equal(false);
    expect(mustClose([at(-20_000, -19_000), ...burst])).to.equal(true);
  });
});
