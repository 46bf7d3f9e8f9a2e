/**
 * Writes the history of a run while it happens, keeps its clock, and tells whoever looks on. Knows the shape of the history, no
 * sockets and no judgement.
 */

import type { FaultRecord, History, Life, Stage } from './history.ts';
import { hostFacts } from './host.ts';
import type { Plan } from './plan.ts';

/** What a live view is told. Instants are ms from the start of the run. */
export type RunEvent =
  | { kind: 'stage'; stage: Stage; at: number; text: string }
  | { kind: 'node'; node: string; state: string; at: number; detail: string | null }
  | {
      kind: 'fault';
      id: string;
      label: string;
      phase: 'begun' | 'applied' | 'cured' | 'skipped' | 'failed';
      at: number;
      detail: string;
    }
  | { kind: 'load'; sent: number; accepted: number; refused: number; at: number }
  /** Items that some node is still waited for to show, per node; `of`: items accepted so far. */
  | { kind: 'progress'; lacking: Record<string, number>; of: number; peersFound: number; at: number }
  | { kind: 'info'; text: string; at: number };

export interface Recorder {
  readonly history: History;
  /** ms from the start of the run. */
  now(): number;
  /** A reading of performance.now as ms from the start of the run. */
  at(monotonic: number): number;
  emit(event: RunEvent): void;
  stage(stage: Stage, text: string): void;
  note(text: string): void;
  /** The harness could not do its part. */
  trouble(text: string): void;
  fault(record: FaultRecord): void;
  /** A start of the node's process. */
  lifeBegins(node: string, startedAt: number, wiped: boolean): Life;
  /** The running life of a node, or null. */
  life(node: string): Life | null;
}

/** `start`: performance.now of the start of the run. */
export function createRecorder(
  plan: Plan,
  engine: { name: string; abilities: ReadonlySet<string> },
  start: number,
  onEvent: (event: RunEvent) => void,
): Recorder {
  const history: History = {
    plan,
    engine: engine.name,
    abilities: [...engine.abilities].sort(),
    startedAt: new Date().toISOString(),
    endedAt: 0,
    stages: [],
    lives: [],
    commits: [],
    sightings: [],
    peerLists: [],
    roundTrips: [],
    checkpoints: [],
    rebuffs: [],
    census: [],
    faults: [],
    severings: [],
    adversaries: [],
    violations: [],
    monitored: {},
    linkSamples: [],
    host: { facts: hostFacts(), seconds: [], overloaded: false, because: 'The host was not watched.' },
    trouble: [],
    notes: [],
  };
  const at = (monotonic: number): number => Math.round((monotonic - start) * 10) / 10;
  const now = (): number => at(performance.now());
  const recorder: Recorder = {
    history,
    now,
    at,
    emit: onEvent,
    stage(stage, text) {
      history.stages.push({ stage, at: now() });
      onEvent({ kind: 'stage', stage, at: now(), text });
    },
    note(text) {
      history.notes.push({ at: now(), text });
      onEvent({ kind: 'info', text, at: now() });
    },
    trouble(text) {
      history.trouble.push(text);
      recorder.note(text);
    },
    fault(record) {
      history.faults.push(record);
    },
    lifeBegins(node, startedAt, wiped) {
      const number = history.lives.filter((life) => life.node === node).length;
      const life: Life = {
        node,
        number,
        startedAt,
        readyAt: null,
        endedAt: null,
        end: null,
        wiped,
        reachableAt: null,
      };
      history.lives.push(life);
      return life;
    },
    life: (node) => history.lives.findLast((life) => life.node === node && life.endedAt === null) ?? null,
  };
  return recorder;
}
