/** badge.svg: the run in one small picture. Pure. */

import { escapeMarkup as xml } from '../../harness/report/markup.ts';
import type { Summary } from '../summary.ts';

const colours = { pass: '#2e7d4f', fail: '#b3362b', inconclusive: '#8a6d1a' } as const;

export function badgeSvg(summary: Summary): string {
  const label = 'CLE-Net conformance';
  const judged = summary.results.filter((r) => r.verdict !== 'not-applicable').length;
  const text = `${summary.verdict} ${summary.counts.pass}/${judged}`;
  const [left, right] = [widthOf(label), widthOf(text)];
  const title = xml(`${label}: ${text}`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${left + right}" height="20" role="img" aria-label="${title}">
<title>${title}</title>
<clipPath id="r"><rect width="${left + right}" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="${left}" height="20" fill="#3b4048"/><rect x="${left}" width="${right}" height="20" fill="${colours[summary.verdict]}"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle"><text x="${left / 2}" y="14">${xml(label)}</text><text x="${left + right / 2}" y="14">${xml(text)}</text></g>
</svg>
`;
}

/** Pixels of a text in 11 px Verdana, near enough, with margins. */
function widthOf(text: string): number {
  return Math.round(text.length * 6.6 + 12);
}
