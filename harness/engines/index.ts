/**
 * The one table of engines: name → what it needs and how it is loaded. Nobody else in the harness knows their names.
 *
 * `auto` takes the first engine of the table that answers, and says which and why.
 */

import type { Engine } from '../engine.ts';
import { UsageError } from '../usage-error.ts';

/** An engine before it is loaded: code and libraries are imported only for the one that is used. */
interface Slot {
  name: string;
  /** null: it can work on this host; else why not, as half a sentence: `no container engine answers at …`. */
  obstacle(): Promise<string | null>;
  load(): Promise<Engine>;
  /** Why one would want it, for the line that `auto` prints. */
  merit: string;
}

/** In the order in which `auto` tries them. */
const slots: readonly Slot[] = [
  {
    name: 'process',
    obstacle: async () =>
      process.platform === 'win32' ? 'Windows has no process groups and no signals to stop a process' : null,
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
export async function chooseEngine(wanted: string): Promise<ChosenEngine> {
  if (wanted !== 'auto') return named(wanted);
  const obstacles: string[] = [];
  for (const slot of slots) {
    const obstacle = await slot.obstacle();
    if (obstacle === null) {
      const reason = [slot.merit, ...obstacles].join('; ');
      return { engine: await slot.load(), because: `engine ${slot.name} (auto: ${reason})` };
    }
    obstacles.push(`not ${slot.name}: ${obstacle}`);
  }
  throw new UsageError(`no engine works on this host: ${obstacles.join('; ')}`);
}

async function named(wanted: string): Promise<ChosenEngine> {
  const slot = slots.find(({ name }) => name === wanted);
  if (slot === undefined) {
    throw new UsageError(`--engine: there is no engine "${wanted}"; allowed: ${engineNames.join(', ')}`);
  }
  const obstacle = await slot.obstacle();
  if (obstacle !== null) throw new UsageError(`--engine ${wanted}: ${obstacle}`);
  return { engine: await slot.load(), because: `engine ${slot.name} (as asked)` };
}
