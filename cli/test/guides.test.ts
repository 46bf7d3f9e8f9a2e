/**
 * The pages: links lead somewhere, every flag and every field has its place in the guides to running and to pipelines, and the gate
 * of plain shell does what it says.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { expect } from 'chai';
import { conformanceJson } from '../../conformance/report/json.ts';
import { type Result, verdicts } from '../../conformance/requirement.ts';
import { countsOf } from '../../conformance/summary.ts';
import { testnetUsage } from '../testnet-arguments.ts';

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
const ci = read('docs/ci.md');
const docs = new URL('../../docs/', import.meta.url);
const isPage = (name: string): boolean => name.endsWith('.md');

const result: Result = {
  id: 'GRT-01',
  level: 'must',
  section: '4.2',
  verdict: 'pass',
  because: '',
  evidence: [],
  durationMs: 1,
  fingerprint: null,
  replay: '',
  transcript: null,
  excused: null,
};

const pages = [
  'README.md',
  'ARCHITECTURE.md',
  ...readdirSync(docs)
    .filter(isPage)
    .map((name) => `docs/${name}`),
];

/** A heading as the end of an address, as GitHub makes it. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

describe('the pages', () => {
  it('link to pages and chapters that there are', () => {
    const anchors = (page: string): string[] =>
      [...read(page).matchAll(/^#+ (.+)$/gm)].map((match) => anchor(match[1]!));
    const dead: string[] = [];
    let links = 0;
    for (const page of pages) {
      for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
        const [file, chapter] = target!.split('#') as [string, string | undefined];
        const path = file === '' ? page : normalize(join(dirname(page), file));
        links += 1;
        if (!existsSync(new URL(`../../${path}`, import.meta.url))) dead.push(`${page}: ${target}`);
        else if (chapter !== undefined && !anchors(path).includes(chapter)) dead.push(`${page}: ${target}`);
      }
    }
    expect(dead).to.deep.equal([]);
    expect(links).to.be.greaterThan(20);
  });

  it('are all linked from the README', () => {
    const readme = read('README.md');
    expect(pages.slice(1).filter((page) => !readme.includes(`](${page})`))).to.deep.equal([]);
  });
});

describe('the guide to running a testnet', () => {
  it('has a row for every option', () => {
    const guide = read('docs/testnet.md');
    const flags = [...testnetUsage.matchAll(/(--\w+)/g)].map((match) => match[1]!);
    expect(flags).to.include.members(['--keep', '--toxiproxy', '--mixed']);
    for (const flag of flags)
      expect(guide, flag).to.match(new RegExp(`^\\| \`${flag}[ \`].* \\| .+ \\| .+ \\|$`, 'm'));
  });
});

describe('the guide to pipelines', () => {
  it('names every field of conformance.json', () => {
    const document = JSON.parse(
      conformanceJson({
        verdict: 'pass',
        because: '',
        target: '',
        seed: 1,
        thorough: false,
        counts: countsOf([]),
        results: [result],
        baselineProblems: [{ id: 'GRT-01', problem: 'stale', because: '' }],
        open: [],
        crashes: [{ node: 'node-1', how: '', rows: [], logTail: [] }],
        wallMs: 1,
        host: {},
      }),
    ) as Record<string, unknown>;
    const first = (key: string): object => (document[key] as object[])[0]!;
    const keys = [document, first('results'), first('baseline_problems'), first('crashes')].flatMap(
      Object.keys,
    );
    expect(keys).to.include.members(['wall_ms', 'fingerprint', 'problem', 'log_tail']);
    expect([...keys, ...verdicts].filter((key) => !ci.includes(`\`${key}\``))).to.deep.equal([]);
  });

  it('names every field of verdict.json', () => {
    const form = read('harness/summary.ts').match(/interface VerdictJson \{\n([\s\S]*?)\n\}/)![1]!;
    const keys = [...form.matchAll(/^ +(\w+)\??:/gm)].map((match) => match[1]!);
    expect(keys).to.include.members(['metrics', 'culprits', 'replay']);
    expect(keys.filter((key) => !ci.includes(`\`${key}\``))).to.deep.equal([]);
  });

  it('has a gate that is red for what somebody has to change, and asks again where nothing was judged', () => {
    const script = ci.match(/```sh gate\n([\s\S]*?)```/)![1]!;
    const folder = mkdtempSync(join(tmpdir(), 'cle-gate-'));
    try {
      // Answers with the next of the codes, and says with what it was called.
      writeFileSync(
        join(folder, 'npm'),
        '#!/bin/sh\necho "$*" >>called\nread -r code <codes\nsed -i.old 1d codes\nexit "$code"\n',
        { mode: 0o755 },
      );
      const gate = (...codes: number[]): { status: number | null; left: string; stderr: string } => {
        writeFileSync(join(folder, 'codes'), codes.map((code) => `${code}\n`).join(''));
        const env = { ...process.env, PATH: `${folder}:${process.env.PATH}`, KIT: 'kit', NODE: 'my node' };
        const arguments_ = ['-c', script, 'gate.sh', '--only', 'HSK-*'];
        const { status, stderr } = spawnSync('bash', arguments_, { cwd: folder, env, encoding: 'utf8' });
        return { status, left: readFileSync(join(folder, 'codes'), 'utf8'), stderr };
      };
      expect(gate(0, 0)).to.deep.equal({ status: 0, left: '', stderr: '' });
      expect(gate(1, 0)).to.include({ status: 1, left: '' });
      expect(gate(0, 2)).to.include({ status: 1, left: '' });
      expect(gate(3, 0, 0)).to.include({ status: 0, left: '', stderr: '' });
      expect(gate(0, 3, 1)).to.include({ status: 1, left: '' });
      const unknown = gate(0, 3, 3);
      expect(unknown).to.include({ status: 0, left: '' });
      expect(unknown.stderr).to.match(/^not judged: npm .* testnet -- /);
      const called = readFileSync(join(folder, 'called'), 'utf8').split('\n');
      expect(called[0]).to.match(/^--prefix kit run -s conformance -- --command my node --only HSK-\* /);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
