/** An observer's connection to a listener that ends it. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { parseManifest } from '../manifest.ts';
import { createRecorder } from '../recorder.ts';
import { resolve } from '../resolve.ts';
import { isExpiry, openSession } from '../session.ts';
import { createAuthority } from '../wire/authority.ts';
import { digestRequest } from '../wire/gossip.ts';
import { listen } from '../wire/listener.ts';
import { createPuppet } from '../wire/puppet.ts';

describe("an observer's connection", () => {
  it('that is used and closed all the same is a rebuff, unless the node was told to end', async () => {
    const authority = await createAuthority({ seed: 'session' });
    const [node, puppet] = [await createPuppet(authority), await createPuppet(authority)];
    const listener = await listen(node, '127.0.0.1', 0, {
      onConnection: (connection) =>
        void connection.onMessage(({ type }) => {
          if (type === 'sync_digest') setTimeout(() => void connection.close(1000), 50);
        }),
    });
    const plan = resolve(parseManifest('nodes: {count: 2, bootstrap: 1}', 'session.yaml'), { seed: 1 });
    const engine = { name: 'none', abilities: new Set<string>() };
    const recorder = createRecorder(plan, engine, performance.now(), () => {});
    const { address } = listener;
    const session = openSession({ puppet, node: 'node-1', life: 0, address, recorder });
    const ask = () => session.request('sync_digest', digestRequest('0'.repeat(64), 0, { prefix: '' }));
    try {
      expect(await ask()).to.not.equal(null);
      await delay(300);
      expect(recorder.history.rebuffs.map(({ what, code }) => [what, code])).to.deep.equal([
        ['closed', 1000],
      ]);
      expect(await ask()).to.not.equal(null);
      session.expectEnd();
      await delay(300);
      expect(recorder.history.rebuffs).to.have.length(1);
    } finally {
      session.stop();
      await listener.close();
    }
  }).timeout(20_000);

  it('expires when it was idle for half a minute', () => {
    expect(isExpiry({ code: 1000, at: 40_000 }, 10_000)).to.equal(true);
    expect(isExpiry({ code: 1001, at: 20_000 }, 10_000)).to.equal(false);
    expect(isExpiry({ code: 4400, at: 90_000 }, 10_000)).to.equal(false);
  });
});
