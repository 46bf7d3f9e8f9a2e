/** The guide to scenarios against the schema: every key and every fault has its row, with its default, and the examples are valid. */

import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { engineAbilities, faultKinds, faultSchemas } from '../fault-schema.ts';
import { parseManifest } from '../manifest.ts';
import { manifestSchema } from '../manifest-schema.ts';
import { resolve } from '../resolve.ts';

interface Form {
  type?: string;
  default?: unknown;
  description?: string;
  properties?: Record<string, Form>;
  items?: Form;
  oneOf?: Form[];
  enum?: string[];
  const?: string;
}

const guide = readFileSync(new URL('../../docs/scenarios.md', import.meta.url), 'utf8');

/** The cells of each row of a table, by what its first cell has in backquotes. */
const rows = new Map(
  guide
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      return [...cells[1]!.matchAll(/`([^`]+)`/g)].map((name) => [name[1]!, cells.slice(2)] as const);
    }),
);

const plain = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Keys below a form as `nodes.groups.name`, but what stands in a table or page of its own. */
function keysBelow({ properties, items }: Form, path: string): [string, Form][] {
  const own = properties ?? items?.properties ?? {};
  return Object.entries(own).flatMap(([key, form]) => {
    const name = path === '' ? key : `${path}.${key}`;
    const below = key === 'parameters' || key === 'faults' ? [] : keysBelow(form, name);
    // A group of keys that has no default of its own but theirs needs no row.
    const isGroup = form.properties !== undefined && below.length > 0;
    return key === '$schema' || key === 'faults' ? [] : isGroup ? below : [[name, form] as const, ...below];
  }) as [string, Form][];
}

const forms = (faultSchemas as readonly Form[]).flatMap((schema) => schema.oneOf ?? [schema]);

describe('the guide to scenarios', () => {
  it('has a row for every key, with its default', () => {
    const keys = keysBelow(manifestSchema as Form, '');
    expect(keys.map(([name]) => name)).to.include.members(['nodes.groups.image', 'expect.max_peers']);
    for (const [name, form] of keys) {
      expect(rows.get(name), name).to.not.equal(undefined);
      if (form.default !== undefined && form.default !== '')
        expect(rows.get(name)![0], name).to.equal(plain(form.default));
    }
  });

  it('has a row for every kind of fault, with every key and its default', () => {
    const common = ['kind', 'id', 'at_s', 'for_s'];
    const links = ['from', 'to', 'both_ways', 'share'];
    expect(faultKinds).to.have.length.greaterThan(10);
    for (const kind of faultKinds) {
      expect(rows.get(kind), kind).to.not.equal(undefined);
      const row = rows.get(kind)!.join(' | ');
      const { properties = {} } = forms.find((form) => form.properties?.kind?.enum?.includes(kind))!;
      const onLinks = 'share' in properties;
      expect(rows.get(kind)![0] === 'yes', `${kind} picks links`).to.equal(onLinks);
      for (const [key, form] of Object.entries(properties)) {
        const aside = common.includes(key) || (onLinks && links.includes(key));
        if (aside) expect(rows.get(key), key).to.not.equal(undefined);
        if (aside && (key !== 'for_s' || form.default === undefined)) continue;
        const shown = form.default === undefined ? `\`${key}\`` : `\`${key}\` (${plain(form.default)})`;
        expect(row, kind).to.include(shown);
      }
    }
  });

  it('names every behaviour, ability and option', () => {
    const { behaviour } = forms.find((form) => form.properties?.behaviour !== undefined)!.properties!;
    expect(behaviour!.enum).to.have.length.greaterThan(3);
    for (const word of behaviour!.enum!) expect(rows.get(word), word).to.not.equal(undefined);
    const containers = readFileSync(new URL('../../docs/containers.md', import.meta.url), 'utf8');
    for (const ability of engineAbilities) {
      expect(rows.get('engine')!.join(), ability).to.include(`\`${ability}\``);
      const row = containers.split('\n').find((line) => line.startsWith(`| \`${ability}\` |`));
      expect(row, ability).to.not.equal(undefined);
      const form = forms.find(({ properties }) => properties?.ability?.const === ability)!;
      for (const [key, option] of Object.entries(form.properties!.options!.properties!)) {
        expect(row, ability).to.include(`\`${key}\``);
        if (typeof option.default === 'number') expect(row, ability).to.include(`(${option.default})`);
        expect(guide, ability).to.match(new RegExp(`\`${key}\` ?\\n?\\([^)]*\\) of \`${ability}\``));
      }
    }
  });

  it('has examples that are valid', () => {
    const examples = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
    expect(examples).to.have.length(2);
    for (const example of examples) resolve(parseManifest(example, 'example.yaml'), { seed: 1 });
  });
});
