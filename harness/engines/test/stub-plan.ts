/** Plans for tests of engines: as many nodes as asked, each changed as told. */

import type { Plan, PlannedNode } from '../../plan.ts';
import { identityFrom } from '../../wire/identity.ts';

function plannedNode(index: number, count: number, change: Partial<PlannedNode> = {}): PlannedNode {
  const identity = identityFrom(`engine test ${index} of ${count}`);
  return {
    name: `node-${index}`,
    index,
    agentId: identity.agentId,
    keyPem: identity.keyPem,
    publicKeyBase64: identity.publicKeyBase64,
    nodeId: identity.nodeId,
    bootstrap: index === 1,
    bootstrapNames: ['node-1'],
    group: 'all',
    command: null,
    image: null,
    startAtMs: 0,
    startAfterMs: 0,
    parameters: { heartbeat_interval_s: 5 },
    ...change,
  };
}

/** A plan without load and faults. */
export function stubPlan(count: number, change: (index: number) => Partial<PlannedNode> = () => ({})): Plan {
  return {
    scenario: 'engine-test',
    seed: 7,
    nodes: Array.from({ length: count }, (_, at) => plannedNode(at + 1, count, change(at + 1))),
    linkLatency: { latencyMs: 5, jitterMs: 0 },
    load: { commitsPerSecond: 0, payloadBytes: 0 },
    faults: [],
    expectations: {
      discoveryMs: 2000,
      convergenceMs: 10_000,
      syncMs: 30_000,
      messageLatencyP95Ms: 500,
      maxPeers: 50,
    },
    durationMs: 0,
    settleMs: 0,
  };
}
