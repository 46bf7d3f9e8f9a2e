import { expect } from 'chai';
import { readCatalogue } from '../catalogue.ts';
import { disagreements, loadRegister } from '../register.ts';
import type { Requirement } from '../requirement.ts';
import { select } from '../select.ts';

const row = (changes: Partial<Requirement>): Requirement => ({
  id: 'GRT-01',
  level: 'must',
  section: '4.2',
  role: 's',
  quote: 'k=3',
  reading: '',
  mutants: ['m'],
  needs: [],
  durationHintMs: 1,
  test: async () => undefined,
  ...changes,
});

describe('register', () => {
  it('reads 191 rows from the requirements page', () => {
    const catalogue = readCatalogue();
    expect(catalogue).to.have.length(191);
    expect(catalogue.filter((one) => one.level === 'must')).to.have.length(141);
    expect(catalogue.filter((one) => one.level === 'should')).to.have.length(49);
  });

  it('holds a row for every requirement of the page', async () => {
    expect((await loadRegister()).missing).to.deep.equal([]);
  });

  it('loads every chapter, each in agreement with the page', async () => {
    expect((await loadRegister()).problems).to.deep.equal([]);
  });

  it('notices where code and page disagree', () => {
    const catalogue = readCatalogue();
    expect(disagreements([row({})], catalogue)).to.deep.equal([]);
    expect(disagreements([row({}), row({})], catalogue)).to.deep.equal(['GRT-01 is there twice']);
    expect(disagreements([row({ level: 'should' })], catalogue)[0]).to.match(/on the page must/);
    expect(disagreements([row({ section: '4.1' })], catalogue)[0]).to.match(/on the page § 4.2/);
    expect(disagreements([row({ role: 'c' })], catalogue)[0]).to.match(/on the page s/);
    expect(disagreements([row({ id: 'GRT-99' })], catalogue)[0]).to.match(/not in requirements/);
    expect(disagreements([row({ mutants: [] })], catalogue)[0]).to.match(/names no mutant/);
  });
});

describe('selection', () => {
  const rows = [row({}), row({ id: 'GRT-03', level: 'should' }), row({ id: 'GAL-04', level: 'info' })];
  const ids = (only: string[], level: 'must' | 'should' | null = null): string[] =>
    select(rows, { only, level }).map((one) => one.id);

  it('picks ids, groups and levels by glob', () => {
    expect(ids(['GRT-*'])).to.deep.equal(['GRT-01', 'GRT-03']);
    expect(ids(['gal'])).to.deep.equal(['GAL-04']);
    expect(ids(['should'])).to.deep.equal(['GRT-03']);
    expect(ids(['G??-01', 'info'])).to.deep.equal(['GRT-01', 'GAL-04']);
    expect(ids([], 'must')).to.deep.equal(['GRT-01']);
    expect(ids([], 'should')).to.deep.equal(['GRT-01', 'GRT-03']);
    expect(ids([])).to.have.length(3);
  });

  it('refuses a glob that picks nothing', () => {
    expect(() => ids(['GRX-*'])).to.throw(/--only GRX-\*: no requirement/);
    expect(() => ids(['GAL-*'], 'must')).to.throw(/together pick no requirement/);
  });
});
