/** History → findings and verdict: all checks in the order in which a person wants to read them. Pure. */

import { limits, maxPeers, noEffect } from './checks/limits.ts';
import {
  convergence,
  discovery,
  loadAcknowledged,
  messageLatency,
  nodesUp,
  sync,
} from './checks/liveness.ts';
import { bypass, overlayConnected, overlayDegree } from './checks/overlay.ts';
import { faultsApplied, harnessSound, hostKeptUp, wire } from './checks/run.ts';
import { checkpointHeight, durability, holdsWhatItShows, noHonestCutOff } from './checks/safety.ts';
import type { History } from './history.ts';
import { type Measured, measure } from './metrics.ts';
import { type Finding, merge, type Verdict } from './verdict.ts';

export interface Judgement {
  verdict: Verdict;
  findings: Finding[];
  measured: Measured;
}

export function judge(history: History): Judgement {
  const measured = measure(history);
  const findings = [
    nodesUp(history),
    discovery(history, measured),
    convergence(history, measured),
    sync(history, measured),
    messageLatency(history, measured),
    loadAcknowledged(history),
    durability(history),
    holdsWhatItShows(history),
    checkpointHeight(history),
    noHonestCutOff(history),
    maxPeers(history),
    limits(history),
    noEffect(history),
    overlayConnected(history),
    overlayDegree(history),
    bypass(history),
    ...wire(history),
    ...faultsApplied(history),
    harnessSound(history),
  ];
  // The host is not what is judged: its warning stands beside the verdict, it does not colour it.
  return { verdict: merge(findings), findings: [...findings, hostKeptUp(history)], measured };
}
