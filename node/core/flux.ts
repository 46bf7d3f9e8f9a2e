/** How many items come by gossip, or from their authors, in a second: tells a busy net from a quiet one. It counts only. */
import type { NodeState } from './state.ts';

/** Whole windows of a second; what came in the present one and in the last full one. */
export interface FluxState {
  sinceMs: number;
  count: number;
  last: number;
}

const windowMs = 1000;
/** Items a second above which a node batches what it does, and a difference is mostly something on its way. */
const busyFlux = 50;

export function createFlux(): FluxState {
  return { sinceMs: 0, count: 0, last: 0 };
}

export function countFlux(node: NodeState): void {
  turn(node);
  node.flux.count++;
}

/** Items a second, of the present second or the last, whichever is more. */
export function flux(node: NodeState): number {
  turn(node);
  return Math.max(node.flux.count, node.flux.last);
}

export function isBusy(node: NodeState): boolean {
  return flux(node) > busyFlux;
}

function turn({ flux: state, nowMs }: NodeState): void {
  const elapsedMs = nowMs - state.sinceMs;
  if (elapsedMs < windowMs) return;
  state.last = elapsedMs < 2 * windowMs ? state.count : 0;
  state.count = 0;
  state.sinceMs = nowMs;
}
