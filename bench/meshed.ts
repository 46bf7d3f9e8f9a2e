/**
 * A quiet net of reference nodes on an engine: how long until every node has its peers, as observers see it, and how long until
 * nothing of it is left. Measures; compares with nothing.
 */

import { runScenario } from '../chaos/run.ts';
import type { Engine, ReferenceNode, RunningTestnet } from '../harness/engine.ts';
import { parseManifest } from '../harness/manifest.ts';
import type { Plan } from '../harness/plan.ts';
import { resolve } from '../harness/resolve.ts';
import { bundleNode } from '../node/bundle.ts';

export async function reference(): Promise<ReferenceNode> {
  const { command, dir, addonsFor } = await bundleNode();
  return { command, folder: dir, addonsFor };
}

export interface QuietNet {
  nodes: number;
  seed: number;
  command?: string;
  bootstrap?: number;
  parameters?: Record<string, number>;
}

/** No load to speak of, no faults, links without delay. */
export function quietPlan({ nodes, seed, command, bootstrap = 3, parameters = {} }: QuietNet): Plan {
  const text = `name: bench
description: bench
nodes: { count: ${nodes}, bootstrap: ${bootstrap}, parameters: ${JSON.stringify(parameters)} }
links: { latency_ms: 0, jitter_ms: 0 }
load: { commits_per_second: 1 }
duration_s: 2
settle_s: ${60 + nodes}
`;
  return resolve(parseManifest(text, 'bench'), { seed, ...(command === undefined ? {} : { command }) });
}

export interface Meshed {
  /** From the engine's start to the moment when every node has its peers. */
  upMs: number;
  /** Of the engine's stop. */
  downMs: number;
}

/** `whileUp` may look at the net before it is stopped. Throws where a node did not come up. */
export async function meshed(
  engine: Engine,
  net: QuietNet,
  outDir: string,
  whileUp: (testnet: RunningTestnet) => void = () => {},
): Promise<Meshed> {
  let running: RunningTestnet | null = null;
  let downMs = Number.NaN;
  const kept: Engine = {
    ...engine,
    start: async (given, options) => {
      const testnet = await engine.start(given, options);
      running = testnet;
      const stop = testnet.stop.bind(testnet);
      testnet.stop = async () => {
        const startedAt = performance.now();
        await stop();
        downMs = performance.now() - startedAt;
      };
      return testnet;
    },
  };
  let failures: string[] = [];
  const { history } = await runScenario(quietPlan(net), kept, {
    engine: { outDir, reference: await reference() },
    onEvent: (event) => {
      if (event.kind !== 'stage' || event.stage !== 'judge' || running === null) return;
      failures = [...running.nodes.values()].flatMap(({ failure }) => failure ?? []);
      whileUp(running);
    },
  });
  if (failures.length > 0) throw new Error(failures[0]);
  const at = (stage: string): number => history.stages.find((s) => s.stage === stage)!.at;
  return { upMs: at('load') - at('start'), downMs };
}
