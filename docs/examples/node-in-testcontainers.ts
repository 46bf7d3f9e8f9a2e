/**
 * Two reference nodes in containers of a test of your own, by testcontainers: they find each other by name, and a puppet of ours
 * shakes hands with the second from outside. Run by a test of this repository:
 *
 *   node --import tsx docs/examples/node-in-testcontainers.ts "$(npm run -s image)"
 */

import {
  GenericContainer,
  Network,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from 'testcontainers';
import { configText } from '../../harness/engines/node-files.ts';
import { createAuthority } from '../../harness/wire/authority.ts';
import { freshIdentity, type Identity } from '../../harness/wire/identity.ts';
import { createPuppet, join } from '../../harness/wire/puppet.ts';

// The library's reaper is an image of its own to pull. Without it `stop` is yours to call, also after a failure.
process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';

const image = process.argv[2];
if (image === undefined) throw new Error('which image?');
const authority = await createAuthority();

/** Starts a node that others in the network reach as `name:8888`. */
async function startNode(
  network: StartedNetwork,
  name: string,
  identity: Identity,
  bootstrap: { name: string; identity: Identity } | null,
): Promise<StartedTestContainer> {
  const files = {
    agentId: identity.agentId,
    listen: '0.0.0.0:8888',
    advertise: `${name}:8888`,
    keyPem: identity.keyPem,
    certificatePem: (await authority.issue(identity)).pem,
    caPem: authority.certificatePem,
    bootstrapNodes:
      bootstrap === null
        ? []
        : [{ host: bootstrap.name, port: 8888, publicKey: bootstrap.identity.publicKeyBase64 }],
  };
  // The first is up when it listens, the second when it has found the first.
  const up = bootstrap === null ? /"event":"started".*"listen"/ : /"event":"peer"/;
  // A strategy is needed: the default one wants a shell in the image.
  return new GenericContainer(image!)
    .withNetwork(network)
    .withNetworkAliases(name)
    .withCopyContentToContainer([
      { target: '/cle/cle.yaml', content: configText('/cle', files) },
      // The node is not root, and what is copied belongs to root.
      { target: '/cle/node.key', content: files.keyPem, mode: 0o444 },
      { target: '/cle/node.crt', content: files.certificatePem },
      { target: '/cle/ca.crt', content: files.caPem },
    ])
    .withDroppedCapabilities('ALL')
    .withExposedPorts(8888)
    .withWaitStrategy(Wait.forLogMessage(up))
    .start();
}

const network = await new Network().start();
const started: StartedTestContainer[] = [];
try {
  const [one, two] = [freshIdentity('agent_one'), freshIdentity('agent_two')];
  started.push(await startNode(network, 'node-1', one, null));
  started.push(await startNode(network, 'node-2', two, { name: 'node-1', identity: one }));
  const second = started[1]!;

  const puppet = await createPuppet(authority, { name: 'visitor' });
  const address = `${second.getHost()}:${second.getMappedPort(8888)}`;
  const connection = await join(puppet, address, { withinMs: 10_000 });
  console.log(`${address} is ${typeof connection.peer === 'string' ? '?' : connection.peer.agentId}`);
  await connection.close();
} finally {
  for (const container of started) await container.stop();
  await network.stop();
}
