/** Faults in keeping what was acknowledged: answers too early, writes too late, and what becomes of a torn end. */

import type { Mutant, Patch } from '../mutant.ts';

const direct = 'node/core/direct.ts';
const store = 'node/shell/store.ts';
const opened =
  '  const level = await openRepairing(location, source, note);\n  reportDropped(location, note);\n';
const queued =
  '      waiting.push({ operations, relaxed, done });\n      writing ??= Promise.resolve().then(writeGroup);\n';
const restored = '  for (const { hash, bytes } of restored.items) {\n';

/** A store of one appended text file in place of the database, with its own idea of how to read a torn one. */
function textStore(read: string): Patch & { also: readonly Patch[] } {
  return {
    file: store,
    find: `${opened}  return createStore(level, location, note);`,
    replace: '  return textStore(dataDir);',
    also: [
      {
        file: store,
        find: '/** What a repair may mend,',
        replace: `function textStore(dataDir: string): Store {
  const fs = (globalThis as any).process.getBuiltinModule('node:fs');
  const file = join(dataDir, 'items.log');
  const items = new Map<string, Uint8Array>();
  const text: string = fs.existsSync(file) ? fs.readFileSync(file, 'latin1') : '';
  const take = (line: string) => {
    const [hash, bytes] = JSON.parse(line);
    items.set(hash, Buffer.from(bytes, 'latin1'));
  };
  const lines = text.split('\\n').filter((line) => line !== '');
  ${read}
  return {
    restore: async () => ({ items: items.values(), records: [] }),
    readItem: (hash) => items.get(hash) ?? null,
    persist({ items: added }, done) {
      let out = '';
      for (const { hash, bytes } of added) {
        const copy = Buffer.from(bytes);
        items.set(hash, copy);
        out += JSON.stringify([hash, copy.toString('latin1')]) + '\\n';
      }
      fs.appendFileSync(file, out);
      setImmediate(done, null);
    },
    close: async () => {},
  };
}

/** What a repair may mend,`,
      },
    ],
  };
}

export const mutants: readonly Mutant[] = [
  {
    id: 'answers-before-stored',
    kills: ['DUR-01'],
    file: direct,
    find: '  keep(node, item, true, (stored) => {\n    link.itemsStoring--;',
    replace:
      "  sendStatus(node, link, envelope.messageId, 'accepted', item.hash);\n  keep(node, item, true, (stored) => {\n    link.itemsStoring--;",
    also: [
      {
        file: direct,
        find: "    sendStatus(node, link, envelope.messageId, 'accepted', item.hash);\n    accepted(node, item, author);",
        replace: '    accepted(node, item, author);',
      },
    ],
    note: 'answers a commit before it hands it to the store',
    mayBreak: ['ERR-03', 'DIR-03'],
  },
  {
    id: 'store-writes-later',
    kills: ['DUR-01'],
    file: store,
    find: queued,
    replace: `      setImmediate(done, null);
      setTimeout(() => {
        waiting.push({ operations, relaxed, done: () => {} });
        writing ??= Promise.resolve().then(writeGroup);
      }, 100);
`,
    note: 'says that it has stored what it will write a tenth of a second later',
    mayBreak: ['*'],
  },
  {
    id: 'restart-drops-last',
    kills: ['DUR-01'],
    file: 'node/core/node.ts',
    find: restored,
    replace: `  const stampOf = ({ bytes }: { bytes: Uint8Array }) => Number(/"timestamp": ([0-9.]+)/.exec(Buffer.from(bytes).toString('latin1'))?.[1]);
  const all = [...restored.items].sort((a, b) => stampOf(a) - stampOf(b));
  for (const { hash, bytes } of all.slice(0, -1)) {
`,
    note: 'comes back without the item that it took last',
    mayBreak: ['LIF-10', 'DUR-02', 'SYN-*'],
    ci: true,
  },
  {
    id: 'restart-commits-only',
    kills: ['LIF-10'],
    file: 'node/core/node.ts',
    find: restored,
    replace: `  const isCommit = ({ bytes }: { bytes: Uint8Array }) => Buffer.from(bytes).includes('"message_type": "commit"');
  for (const { hash, bytes } of [...restored.items].filter(isCommit)) {
`,
    note: 'comes back without challenges and confirms',
    mayBreak: ['DUR-*', 'SYN-*', 'CKP-*'],
  },
  {
    id: 'torn-tail-crashes',
    kills: ['DUR-02'],
    ...textStore('for (const line of lines) take(line);'),
    note: 'does not start with a torn last record',
    mayBreak: ['SYN-*', 'CKP-*'],
  },
  {
    id: 'torn-tail-loses-all',
    kills: ['DUR-02'],
    ...textStore('try { for (const line of lines) take(line); } catch { items.clear(); }'),
    note: 'begins anew where the last record is torn',
    mayBreak: ['SYN-*', 'CKP-*'],
    ci: true,
  },
  {
    id: 'torn-tail-glued',
    kills: ['DUR-02'],
    ...textStore('for (const line of lines) try { take(line); } catch {}'),
    note: 'skips a torn last record, and appends the next one to what is left of it',
    mayBreak: ['SYN-*', 'CKP-*'],
  },
  {
    id: 'torn-tail-served',
    kills: ['DUR-02'],
    ...textStore(
      "for (const line of lines) try { take(line.includes('\"]') ? line : line.slice(0, -1)); } catch {}\n  if (text !== '' && !text.endsWith('\\n')) { const hash = lines.at(-1)!.slice(2, 66); const bytes = items.get(hash); if (bytes) items.set(hash, Buffer.from(Buffer.from(bytes).toString('latin1').replace(/\"signature\": \".{10}/, '\"signature\": \"AAAAAAAAAA'), 'latin1')); fs.appendFileSync(file, '\\n'); }",
    ),
    note: 'serves the item of a torn last record with a broken signature',
    mayBreak: ['SYN-*', 'CKP-*'],
  },
  {
    id: 'zeroed-tail-loses-all',
    kills: ['DUR-02'],
    ...textStore(
      "let good = '';\n  for (const line of lines) try { take(line); good += line + '\\n'; } catch { if (line.includes('\\0')) { items.clear(); good = ''; } }\n  if (good !== text) fs.writeFileSync(file, good, 'latin1');",
    ),
    note: 'drops a record cut short, and begins anew where one ends in zeros',
    mayBreak: ['SYN-*', 'CKP-*'],
  },
  {
    id: 'damaged-tail-loses-all',
    kills: ['DUR-02'],
    file: store,
    find: opened,
    replace: `${opened}  if (/dropping \\d+ bytes/.test(readFileSync(join(location, 'LOG'), 'utf8'))) await level.clear();\n`,
    note: 'begins anew where the log of its database is damaged',
  },
];
