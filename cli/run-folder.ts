/** What lies in the folder of a testnet run, beside the logs that the engine writes into it. Pure; writes nothing. */

import { junitXml } from '../harness/report/junit.ts';
import { reportPage } from '../harness/report/page.ts';
import { type Judged, reportModel, verdictJson } from '../harness/summary.ts';
import type { OurFiles } from './out-folder.ts';

/** All that a run puts into its folder, the engine's logs and kept folders of nodes included. */
export const runFiles: OurFiles = {
  '.': /^(?:(?:verdict|plan|history)\.json|(?:notes|replay)\.txt|report\.html|junit\.xml)$/,
  logs: /^(?:node-\d+|toxiproxy)\.log$/,
  nodes: /^node-\d+$/,
};

export const logOf = (node: string): string => `logs/${node}.log`;

/** Name → how its text is made, what matters most first: on a disk that is full the last ones are missing. */
export function runTexts(judged: Judged, replay: string): Map<string, () => string> {
  const { history, findings } = judged;
  const { plan } = history;
  const notes = history.notes.map(({ at, text }) => `${(at / 1000).toFixed(2).padStart(9)} s  ${text}`);
  const cases = findings.map(({ id, verdict, because }) => {
    return { className: `testnet.${plan.scenario}`, name: id, seconds: 0, verdict, because };
  });
  const title = `cle-testnet ${plan.scenario} seed ${plan.seed}`;
  return new Map([
    ['verdict.json', () => `${JSON.stringify(verdictJson(judged, replay), null, 2)}\n`],
    ['junit.xml', () => junitXml(title, cases, history.endedAt / 1000)],
    ['replay.txt', () => `${replay}\n`],
    ['notes.txt', () => `${notes.join('\n')}\n`],
    ['report.html', () => reportPage(reportModel(judged, replay, logOf))],
    ['plan.json', () => `${JSON.stringify(plan, null, 2)}\n`],
    ['history.json', () => `${JSON.stringify(history)}\n`],
  ]);
}
