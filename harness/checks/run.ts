/**
 * The run itself: did the faults take effect, did the wire keep its rules on every connection of ours, could host and harness
 * judge at all.
 */

import { doubtOf, type FaultRecord, type History } from '../history.ts';
import type { Finding } from '../verdict.ts';
import { finding, listed, ownTrouble } from './finding.ts';

/** Why it is open whether a fault took effect and was cured, or null. */
function openPoint({ outcome, because, receipt, cure }: FaultRecord): string | null {
  if (outcome === 'failed') return because;
  return (receipt === null ? null : doubtOf(receipt)) ?? (cure === null ? null : doubtOf(cure));
}

/** Each planned fault has a receipt that nothing speaks against, or a reason why it was skipped. */
export function faultsApplied(history: History): Finding[] {
  const planned = history.plan.faults.length;
  const by = (outcome: string): History['faults'] =>
    history.faults.filter((fault) => fault.outcome === outcome);
  const [applied, skipped] = [by('applied'), by('skipped')];
  const open = history.faults.filter((fault) => openPoint(fault) !== null);
  const findings: Finding[] = [];
  const evidence = history.faults.map((fault) => ({
    id: fault.id,
    outcome: fault.outcome,
    receipt: fault.receipt?.what ?? fault.because,
    open: openPoint(fault),
  }));
  const missing = planned - history.faults.length;
  const id = 'faults.applied';
  if (planned === 0) findings.push(finding(id, [], 'skipped', 'The scenario has no faults.'));
  else if (open.length > 0 || missing > 0) {
    const first = open[0];
    const why = first === undefined ? `${missing} were never begun` : `${first.id}: ${openPoint(first)}`;
    findings.push(
      finding(
        id,
        [],
        'unknown',
        `${open.length + missing} of ${planned} faults did not take effect, or were not cured, as planned; ${why}.`,
        evidence,
      ),
    );
  } else if (applied.length > 0) {
    findings.push(
      finding(
        id,
        [],
        'pass',
        `${applied.length} of ${planned} faults took effect, each with a receipt.`,
        evidence,
      ),
    );
  }
  if (skipped.length > 0) {
    const because = `${skipped.length} of ${planned} faults were skipped; ${skipped[0]!.id}: ${skipped[0]!.because}`;
    findings.push(
      finding(
        'faults.skipped',
        [],
        'skipped',
        because,
        skipped.map((fault) => ({ id: fault.id, because: fault.because })),
      ),
    );
  }
  return findings;
}

const wireRows = ['SIG-01', 'CAN-01', 'CAN-06', 'ENV-01', 'ENV-04', 'ENV-08', 'GFM-01', 'ERR-01'] as const;

/** One finding per row that the monitors of our connections watch; a row without exposure is not named. */
export function wire(history: History): Finding[] {
  return wireRows.flatMap((row) => {
    const id = `wire.${row}`;
    const broken = history.violations.filter((violation) => violation.row === row);
    const judged = history.monitored[row] ?? 0;
    if (broken.length > 0) {
      const nodes = [...new Set(broken.map(({ node }) => node))];
      const because = `${listed(history, nodes)} broke ${row} ${broken.length} times; first: ${broken[0]!.detail}.`;
      return [finding(id, [row], 'fail', because, broken, nodes)];
    }
    if (judged > 0) return [finding(id, [row], 'pass', `${judged} messages kept it.`)];
    // Frames are not counted while they are in order.
    return [];
  });
}

/** An overloaded host makes missed time targets unknown; if none was missed, it harmed nobody and is only a warning. */
export function hostKeptUp(history: History): Finding {
  const { overloaded, because } = history.host;
  const id = 'host.kept-up';
  if (!overloaded) return finding(id, [], 'pass', because);
  return finding(id, [], 'warn', `${because} Missed time targets are therefore held against no node.`);
}

/** Our own trouble is nobody's failure (`excuse`), and no pass either. */
export function harnessSound(history: History): Finding {
  const trouble = ownTrouble(history);
  return trouble === null
    ? finding('harness.sound', [], 'pass', 'The harness had no trouble of its own.')
    : finding('harness.sound', [], 'unknown', trouble, history.trouble);
}
