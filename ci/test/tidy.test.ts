import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { breachesOf, sources, tidy } from '../tidy.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const opened = '/** What it owns. */\n';
const rulesOf = (file: string, body: string): string[] => breachesOf(file, opened + body).map((b) => b.rule);

describe('tidy', () => {
  it('finds no breach in this tree', () => {
    const lines = tidy(root).map((b) => `${b.file}:${b.line}: ${b.rule}: ${b.what}`);
    expect(lines).to.deep.equal([]);
  });

  it('reads more than a handful of sources', () => {
    expect(sources(root).length).to.be.greaterThan(20);
  });

  it('refuses an arrow from the judge to the accused', () => {
    expect(rulesOf('harness/x.ts', "import { a } from '../node/core/json.ts';\n")).to.deep.equal(['arrow']);
    expect(rulesOf('conformance/x.ts', "import { a } from '../chaos/run.ts';\n")).to.deep.equal(['arrow']);
    expect(rulesOf('cli/x.ts', "import { a } from '../chaos/run.ts';\n")).to.deep.equal([]);
  });

  it('refuses ambient time and chance in the core, but not in its comments or texts', () => {
    expect(rulesOf('node/core/x.ts', 'const t = Date.now();\n')).to.deep.equal(['ambient']);
    expect(rulesOf('node/core/x.ts', "const t = 'Date.now()'; // Math.random()\n")).to.deep.equal([]);
    expect(rulesOf('node/shell/x.ts', 'const t = Date.now();\n')).to.deep.equal([]);
  });

  it('refuses engine names outside the engines', () => {
    expect(rulesOf('chaos/x.ts', "if (engine.name === 'docker') run();\n")).to.deep.equal(['engine-name']);
    expect(rulesOf('harness/engines/index.ts', "if (name === 'docker') run();\n")).to.deep.equal([]);
  });

  it('refuses focused tests, missing openings and default exports', () => {
    expect(rulesOf('ci/test/x.test.ts', "it.only('a', () => {});\n")).to.deep.equal(['focus']);
    expect(breachesOf('ci/x.ts', 'const a = 1;\n').map((b) => b.rule)).to.deep.equal(['opening']);
    expect(rulesOf('ci/x.ts', 'export default 1;\n')).to.deep.equal(['default-export']);
  });
});
