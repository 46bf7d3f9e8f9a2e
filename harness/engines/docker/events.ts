/**
 * What the engine itself says happened to the containers and the network of a run: the witness of every receipt. Reads two streams
 * (network events carry no labels) and keeps what came; knows no node and does nothing.
 */

import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';

export interface EngineWord {
  /** performance.now when it was read. */
  at: number;
  /** `die`, `oom`, `pause` … of a container; `connect`, `disconnect` of a network. */
  action: string;
  container: string;
  attributes: Record<string, string>;
  /** The engine's own clock. */
  timeNano: number;
}

export interface EngineWords {
  /** A place in the record: what comes later is what we caused. */
  mark(): number;
  /** What was said of a container since a mark, for evidence. */
  since(mark: number, container: string): Record<string, unknown>[];
  /** The first word of that kind about the container since the mark; null if it does not come in time. */
  expect(mark: number, container: string, action: string, withinMs: number): Promise<EngineWord | null>;
  close(): void;
}

interface RawEvent {
  Type: string;
  Action: string;
  Actor?: { ID?: string; Attributes?: Record<string, string> };
  timeNano?: number;
}

const shown = ['exitCode', 'signal', 'image'] as const;

/** `labels`: what all containers of the run carry. */
export async function listenToEngine(
  docker: Docker,
  labels: Record<string, string>,
  network: string,
): Promise<EngineWords> {
  const label = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  const words: EngineWord[] = [];
  const streams = [
    (await docker.getEvents({ filters: { label, type: ['container'] } })) as Readable,
    (await docker.getEvents({ filters: { network: [network], type: ['network'] } })) as Readable,
  ];
  for (const stream of streams) {
    stream.on('error', () => {});
    createInterface({ input: stream }).on('line', (line) => {
      const { Type, Action, Actor, timeNano = 0 } = JSON.parse(line) as RawEvent;
      const attributes = Actor?.Attributes ?? {};
      const container = Type === 'network' ? (attributes.container ?? '') : (Actor?.ID ?? '');
      words.push({ at: performance.now(), action: Action, container, attributes, timeNano });
    });
  }
  return {
    mark: () => words.length,
    since: (mark, container) =>
      words
        .slice(mark)
        .filter((word) => word.container === container)
        .map(({ action, attributes, timeNano }) => ({
          action,
          ...Object.fromEntries(
            shown.filter((key) => key in attributes).map((key) => [key, attributes[key]]),
          ),
          timeNano,
        })),
    async expect(mark, container, action, withinMs) {
      const deadline = performance.now() + withinMs;
      for (;;) {
        const word = words.slice(mark).find((one) => one.container === container && one.action === action);
        if (word !== undefined) return word;
        if (performance.now() > deadline) return null;
        await delay(5);
      }
    },
    close() {
      for (const stream of streams) stream.destroy();
    },
  };
}
