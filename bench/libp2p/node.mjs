/**
 * A js-libp2p gossipsub node as a member of the measured net: TCP + noise + yamux on loopback, StrictSign Ed25519.
 * `options.flavour`: `default` (library defaults), `tuned` (fastMsgIdFn on the signature, no flood publish, no IDONTWANT,
 * batch publish) or `tuned-d3` (also D 3, Dlo 2, Dhi 4: our fan-out).
 */
import './polyfill.mjs';
import { noise } from '@chainsafe/libp2p-noise';
import { gossipsub } from '@libp2p/gossipsub';
import { identify } from '@libp2p/identify';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { runMember } from '../gossip/member.mjs';

const topic = 'new_commit';
const payloadBytes = 600;

const tuning = {
  default: {},
  tuned: {
    fastMsgIdFn: (message) => Buffer.from(message.signature ?? []).toString('latin1'),
    floodPublish: false,
    idontwantMinDataSize: Number.MAX_SAFE_INTEGER,
    batchPublish: true,
  },
};
tuning['tuned-d3'] = { ...tuning.tuned, D: 3, Dlo: 2, Dhi: 4, Dscore: 2, Dout: 1 };

let node;
let delivered = () => {};

/** Encryption has 10 s by default, which ten processes that start at once on two cores can exceed. */
async function dial(address, attempts = 4) {
  try {
    return await node.dial(multiaddr(address));
  } catch (error) {
    if (attempts === 1) throw error;
    return dial(address, attempts - 1);
  }
}

runMember({
  async start(_index, { flavour }) {
    if (tuning[flavour] === undefined) throw new Error(`unknown flavour ${flavour}`);
    node = await createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      // Both defaults make any test on one host impossible: 5 inbound connections a second per host, and a penalty for
      // more than ten peers behind one address.
      connectionManager: { inboundConnectionThreshold: 1e6, maxConnections: 1000 },
      services: {
        identify: identify(),
        pubsub: gossipsub({
          allowPublishToZeroTopicPeers: true,
          scoreParams: { IPColocationFactorWeight: 0 },
          ...tuning[flavour],
        }),
      },
    });
    node.services.pubsub.addEventListener('message', ({ detail }) => {
      if (detail.topic !== topic) return;
      const view = Buffer.from(detail.data.buffer, detail.data.byteOffset, detail.data.byteLength);
      delivered({ step: view.readUInt32BE(0), sentNs: view.readBigUInt64BE(4) });
    });
    node.services.pubsub.subscribe(topic);
    return node.getMultiaddrs()[0].toString();
  },
  async connect(addresses) {
    await Promise.all(addresses.map((address) => dial(address)));
    const deadline = performance.now() + 20_000;
    while (node.services.pubsub.getMeshPeers(topic).length < 2) {
      if (performance.now() > deadline) throw new Error('no mesh after 20 s');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },
  publish({ step, sentNs }) {
    const data = Buffer.alloc(payloadBytes);
    data.writeUInt32BE(step, 0);
    data.writeBigUInt64BE(sentNs, 4);
    node.services.pubsub.publish(topic, data).catch((error) => {
      process.stderr.write(`publish: ${error}\n`);
    });
  },
  onDelivery(callback) {
    delivered = callback;
  },
  async stop() {
    await node.stop();
  },
});
