/**
 * Two nodes in one program: the second finds the first, one of them says something, the other knows it. Run by a test of this
 * repository:
 *
 *   node --import tsx docs/examples/library.ts
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createAuthority } from '../../harness/wire/authority.ts';
import { freshIdentity } from '../../harness/wire/identity.ts';
import { type RunningNode, startNode } from '../../node/shell/library.ts';

const folder = mkdtempSync(join(tmpdir(), 'cle-example-'));
// A network of your own has its CA already; the guide to writing a node makes one with openssl.
const authority = await createAuthority();
writeFileSync(join(folder, 'ca.crt'), authority.certificatePem);

/** Key, certificate and configuration of one node. Port 0 would take a free one, which `bootstrap_nodes` could not name. */
async function configurationOf(agentId: string, port: number, bootstrapNodes: object[]) {
  const identity = freshIdentity(agentId);
  const file = (name: string): string => join(folder, `${agentId}.${name}`);
  writeFileSync(file('key'), identity.keyPem, { mode: 0o600 });
  writeFileSync(file('crt'), (await authority.issue(identity)).pem);
  return {
    publicKey: identity.publicKeyBase64,
    configuration: {
      agent_id: agentId,
      listen: `127.0.0.1:${port}`,
      advertise: `127.0.0.1:${port}`,
      key_file: file('key'),
      certificate_file: file('crt'),
      ca_file: join(folder, 'ca.crt'),
      data_dir: file('data'),
      bootstrap_nodes: bootstrapNodes,
    },
  };
}

const basePort = Number(process.argv[2] ?? 8888);
const nodes: RunningNode[] = [];
try {
  const one = await configurationOf('agent_one', basePort, []);
  const first = { host: '127.0.0.1', port: basePort, public_key: one.publicKey };
  const two = await configurationOf('agent_two', basePort + 1, [first]);

  const node = await startNode(one.configuration);
  nodes.push(node);
  const other = await startNode(two.configuration, {
    onItems: (items) => console.log(`agent_two has ${items.length} new`),
  });
  nodes.push(other);
  while (other.overview().peers === 0) await delay(20);

  const { itemHash, status } = await node.broadcast({
    type: 'commit',
    payload: {
      rule_hash: `rule_${'0123456789abcdef'.repeat(4)}`,
      logic_signature: 'if rain then slow',
      context_signature: 'traffic/day',
      confidence: 0.75,
      evidence_count: 3,
      metadata: {},
    },
  });
  console.log(`agent_one: ${status}, ${node.status(itemHash)}`);
  while (other.status(itemHash) !== 'durable') await delay(20);
  console.log(`agent_two: ${other.overview().items} item, ${other.overview().peers} peer`);
} finally {
  for (const each of nodes) await each.stop();
  rmSync(folder, { recursive: true, force: true });
}
