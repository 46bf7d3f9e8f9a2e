/**
 * A CLE-Net node, through its library, as a member of the measured net. A publication is a commit whose canonical payload
 * has 600 bytes; the stamp travels in its metadata. Limits that exist to stop floods are lifted by parameters (profile §10).
 */

import { type RunningNode, readConfiguration, runNode } from '../../node/shell/library.ts';
import { runMember, type Stamp } from './member.mjs';

const payloadBytes = 600;
const bootMs = 20_000;

let node: RunningNode;
let members = 0;
let ownSender = '';
let deliver: (stamp: Stamp) => void = () => {};

/** The metadata of an item in canonical form, as `paddedPayload` wrote it. */
const stampForm = /"metadata": \{"sent_ns": "(\d+)", "step": (\d+)\}/;

/** Items of the own agent are stored too, but not delivered: they were here before. */
function delivered(bytes: Uint8Array): void {
  const item = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  if (item.includes(ownSender)) return;
  const [, sentNs, step] = stampForm.exec(item)!;
  deliver({ step: Number(step), sentNs: BigInt(sentNs!) });
}

/** The canonical form's length grows by one with each character of padding. */
function paddedPayload(stamp: Stamp): Record<string, unknown> {
  const payload = {
    rule_hash: `rule_${stamp.sentNs.toString(16).padStart(64, '0')}`,
    logic_signature: '',
    context_signature: 'bench',
    confidence: 0.5,
    evidence_count: 1,
    metadata: { step: stamp.step, sent_ns: stamp.sentNs.toString() },
  };
  const members = JSON.stringify(payload).match(/[,:](?=")|":/g)?.length ?? 0;
  const now = JSON.stringify(payload).length + members;
  return { ...payload, logic_signature: 'x'.repeat(Math.max(0, payloadBytes - now)) };
}

runMember({
  async start(index: number, options: { configFiles: string[] }) {
    members = options.configFiles.length;
    node = await runNode(await readConfiguration(options.configFiles[index]!), {
      onItems: (items) => {
        for (const item of items) delivered(item.bytes);
      },
    });
    ownSender = `"node_id": "${node.nodeId}"`;
    return `127.0.0.1:${node.port}`;
  },
  async connect() {
    const deadline = performance.now() + bootMs;
    while (node.overview().peers < members - 1) {
      if (performance.now() > deadline) {
        throw new Error(`only ${node.overview().peers} of ${members - 1} peers after ${bootMs} ms`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },
  publish(stamp: Stamp) {
    node.broadcast({ type: 'commit', payload: paddedPayload(stamp) }).catch((error: Error) => {
      process.stderr.write(`publish: ${error.message}\n`);
    });
  },
  onDelivery(callback: (stamp: Stamp) => void) {
    deliver = callback;
  },
  counters: () => ({
    verifications: node.counters.verifications,
    taken: node.counters.envelopesTaken,
    itemsNew: node.counters.itemsNew,
    ...Object.fromEntries(node.counters.messages),
  }),
  stop: () => node.stop(),
});
