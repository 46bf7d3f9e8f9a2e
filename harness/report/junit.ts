/**
 * JUnit XML, the form every CI reads: one test case per finding. A warning passes with its text in system-out; `unknown` is
 * an error, not a failure, because nobody was found guilty.
 */

import type { Finding } from '../verdict.ts';
import { escapeMarkup } from './markup.ts';

export interface JUnitCase {
  /** Dotted class, e.g. `testnet.default` or `conformance.GRT`. */
  className: string;
  name: string;
  seconds: number;
  verdict: Finding['verdict'];
  because: string;
}

function body(testCase: JUnitCase): string {
  const text = escapeMarkup(testCase.because);
  switch (testCase.verdict) {
    case 'fail':
      return `<failure message="${text}"/>`;
    case 'unknown':
      return `<error message="${text}"/>`;
    case 'skipped':
      return `<skipped message="${text}"/>`;
    case 'warn':
      return `<system-out>warning: ${text}</system-out>`;
    case 'pass':
      return text === '' ? '' : `<system-out>${text}</system-out>`;
  }
}

/** The whole file. `suite` names the run, e.g. `cle-testnet default seed 1`. */
export function junitXml(suite: string, cases: readonly JUnitCase[], seconds: number): string {
  const count = (verdict: Finding['verdict']): number => cases.filter((c) => c.verdict === verdict).length;
  const attributes = [
    `name="${escapeMarkup(suite)}"`,
    `tests="${cases.length}"`,
    `failures="${count('fail')}"`,
    `errors="${count('unknown')}"`,
    `skipped="${count('skipped')}"`,
    `time="${seconds.toFixed(3)}"`,
  ].join(' ');
  const lines = cases.map((testCase) => {
    const head = `classname="${escapeMarkup(testCase.className)}" name="${escapeMarkup(testCase.name)}"`;
    return `    <testcase ${head} time="${testCase.seconds.toFixed(3)}">${body(testCase)}</testcase>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite ${attributes}>`,
    ...lines,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}
