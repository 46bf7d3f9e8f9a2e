import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { nodeIdOf } from '../../harness/wire/identity.ts';
import { createPuppet, mustDial } from '../../harness/wire/puppet.ts';
import type { Bench } from '../bench.ts';
import { loadRegister } from '../register.ts';
import { pass } from '../requirement.ts';
import { mutantCommand } from '../self/build.ts';
import type { NodeUnderTest, Target } from '../target.ts';
import { openAddressTarget } from '../target-address.ts';
import { openCommandTarget } from '../target-command.ts';
import { judged, row, verdictsOf } from './made-up.ts';

/** A reference node that somebody else has started, as a target, and a folder with the CA's files. */
async function referenceAt(): Promise<{
  target: Target;
  node: NodeUnderTest;
  folder: string;
  close(): Promise<void>;
}> {
  const folder = mkdtempSync(join(tmpdir(), 'address-'));
  const host = await openCommandTarget({
    command: { argv: await mutantCommand(null) },
    description: 'reference',
    flags: '',
    seed: 3,
  });
  const { node } = await host.own('host', {}, () => {});
  writeFileSync(join(folder, 'ca.crt'), host.authority.certificatePem);
  writeFileSync(join(folder, 'ca.key'), host.authority.keyPem);
  const target = await openAddressTarget({ address: node.address, caDir: folder, flags: '', seed: 1 });
  const close = async (): Promise<void> => {
    await target.close();
    await host.close();
    rmSync(folder, { recursive: true });
  };
  return { target, node, folder, close };
}

describe('an address as target', function () {
  this.timeout(60_000);

  it('is judged without being started: what it cannot give is not applicable', async () => {
    const { target, node, folder, close } = await referenceAt();
    try {
      const joins = async (bench: Bench): Promise<unknown> => {
        await (await bench.puppet('a')).peer(await bench.shared());
        return pass('joined');
      };
      const alone = async (bench: Bench): Promise<unknown> => {
        const own = await bench.node();
        expect(own.nodeId).to.equal(node.nodeId);
        expect(own.advertise).to.equal(node.advertise);
        await bench.sleep(30, 'being alone');
        return pass('alone');
      };
      const summary = await judged(
        [
          row('GRT-01', joins),
          row('GRT-02', joins),
          row('GRT-03', alone),
          row('GRT-04', alone),
          row('GRT-05', joins, { needs: ['restart'] }),
          row('GRT-06', async (bench) => bench.node({ parameters: { fanout: 2 } })),
          row('GRT-07', async (bench) => bench.nodes(2)),
          row('GAL-01', async (bench) => {
            const puppet = await bench.puppet('called');
            const listener = await puppet.listen();
            const peer = await bench.puppet('peer');
            await peer.peer(await bench.node(), { peers: [puppet.entry] });
            await listener.nextJoined(8_000);
            return pass('it dialled back');
          }),
        ],
        target,
        folder,
      );
      expect(verdictsOf(summary)).to.deep.equal({
        'GRT-01': 'pass',
        'GRT-02': 'pass',
        'GRT-03': 'pass',
        'GRT-04': 'pass',
        'GRT-05': 'not-applicable',
        'GRT-06': 'not-applicable',
        'GRT-07': 'not-applicable',
        'GAL-01': 'pass',
      });
    } finally {
      await close();
    }
  });

  it('puts a stranger where a puppet was: a node that dials it finds another key there and forgets the address', async () => {
    const { target, folder, close } = await referenceAt();
    const caller = await createPuppet(target.authority, { name: 'caller' });
    const there = async (address: string): Promise<string> => {
      const connection = await mustDial(caller, address);
      const { peer } = connection;
      connection.destroy();
      return typeof peer === 'string' ? peer : nodeIdOf(peer.publicKey);
    };
    let address = '';
    let nodeId = '';
    try {
      const summary = await judged(
        [
          row('GRT-01', async (bench) => {
            const told = await bench.puppet('told');
            await told.listen();
            ({ address, nodeId } = told);
            expect(await there(address)).to.equal(nodeId);
            return pass('it listens');
          }),
        ],
        target,
        folder,
      );
      expect(verdictsOf(summary)).to.deep.equal({ 'GRT-01': 'pass' });
      expect(await there(address))
        .to.match(/^node_[0-9a-f]+$/)
        .and.not.equal(nodeId);
    } finally {
      await close();
    }
    expect(await there(address).catch((error: Error) => error.message)).to.match(/ECONNREFUSED/);
  });

  it('is judged by the half of HSK-01 that needs no start of ours', async () => {
    const { target, folder, close } = await referenceAt();
    try {
      const hello = (await loadRegister()).rows.find(({ id }) => id === 'HSK-01')!;
      const { results } = await judged([hello], target, folder);
      expect(results[0]).to.deep.include({
        verdict: 'pass',
        because: '4 connection types accepted in order; whether it dials in order needs a node started by us',
      });
    } finally {
      await close();
    }
  });

  it('refuses what cannot be judged', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'address-'));
    const refusal = (address: string): Promise<string> =>
      openAddressTarget({ address, caDir: folder, flags: '', seed: 1 }).then(
        () => 'opened',
        (error: Error) => `${error.name}: ${error.message}`,
      );
    try {
      expect(await refusal('127.0.0.1:9')).to.match(/UsageError.*there is no ca.crt/);
      writeFileSync(join(folder, 'ca.crt'), 'x');
      expect(await refusal('127.0.0.1:9')).to.match(/UsageError.*there is no ca.key/);
      writeFileSync(join(folder, 'ca.key'), 'x');
      expect(await refusal('127.0.0.1:9')).to.match(/UsageError: --ca /);
      expect(await refusal('nowhere')).to.match(/not of the form HOST:PORT/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
