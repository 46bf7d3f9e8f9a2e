/**
 * The one table of engines: name → what it needs and how it is loaded. Nobody else in the harness knows their names.
 *
 * `auto` takes the first engine of the table that answers, and says which and why.
 */

import type { Engine } from '../engine.ts';
import { UsageError } from '../usage-error.ts';

/** What a run asks of its engine before anything is started. */
export interface Needs {
  /** Nodes are commands of this host, or images. */
  commands?: boolean;
  images?: boolean;
  /** The links are to go through somebody's Toxiproxy. */
  ownToxiproxy?: boolean;
}

/** An engine before it is loaded: code and libraries are imported only for the one that is used. */
interface Slot {
  name: string;
  /** null: it can do this on this host; else why not, as half a sentence: `no container engine answers at …`. */
  obstacle(needs: Needs): Promise<string | null>;
  load(): Promise<Engine>;
  /** For `down`: removes what dead runs left elsewhere than on this host's disk and in its process table; a line for each thing. */
  sweep?(othersLive: boolean): Promise<string[]>;
  /** Why one would want it, for the line that `auto` prints. */
  merit: string;
}

/** In the order in which `auto` tries them. */
const slots: readonly Slot[] = [
  {
    name: 'docker',
    obstacle: async ({ commands, ownToxiproxy }) => {
      if (commands) return 'it cannot start a command of this host';
      if (ownToxiproxy) return 'it brings its own Toxiproxy';
      return (await import('./docker/here.ts')).engineObstacle();
    },
    load: async () => (await import('./docker/engine.ts')).dockerEngine(),
    sweep: async (othersLive) => (await import('./docker/down.ts')).sweepEverything(othersLive),
    merit: 'a container engine answers: nodes in containers, the real Toxiproxy between them',
  },
  {
    name: 'process',
    obstacle: async ({ images }) => {
      if (images) return 'it cannot start an image';
      return process.platform === 'win32'
        ? 'Windows has no process groups and no signals to stop a process'
        : null;
    },
    load: async () => (await import('./process/engine.ts')).processEngine(),
    merit: 'one process per node, needs nothing else',
  },
];

/** What `--engine` takes. */
export const engineNames: readonly string[] = ['auto', ...slots.map(({ name }) => name)];

export interface ChosenEngine {
  engine: Engine;
  /** One line for the person: which engine and why. */
  because: string;
}

/** UsageError for an unknown name and for an engine that cannot work here. */
export async function chooseEngine(wanted: string, needs: Needs = {}): Promise<ChosenEngine> {
  if (wanted !== 'auto') return named(wanted, needs);
  const obstacles: string[] = [];
  for (const slot of slots) {
    const obstacle = await slot.obstacle(needs);
    if (obstacle === null) {
      const reason = [slot.merit, ...obstacles].join('; ');
      return { engine: await slot.load(), because: `engine ${slot.name} (auto: ${reason})` };
    }
    obstacles.push(`not ${slot.name}: ${obstacle}`);
  }
  throw new UsageError(`no engine works on this host: ${obstacles.join('; ')}`);
}

async function named(wanted: string, needs: Needs): Promise<ChosenEngine> {
  const slot = slots.find(({ name }) => name === wanted);
  if (slot === undefined) {
    throw new UsageError(`--engine: there is no engine "${wanted}"; allowed: ${engineNames.join(', ')}`);
  }
  const obstacle = await slot.obstacle(needs);
  if (obstacle !== null) throw new UsageError(`--engine ${wanted}: ${obstacle}`);
  return { engine: await slot.load(), because: `engine ${slot.name} (as asked)` };
}

/** What `down` does on engines that keep things of their own. An engine that does not answer holds nothing of ours that runs. */
export async function sweepEngines(othersLive: boolean): Promise<string[]> {
  const lines: string[] = [];
  for (const slot of slots) lines.push(...((await slot.sweep?.(othersLive)) ?? []));
  return lines;
}
