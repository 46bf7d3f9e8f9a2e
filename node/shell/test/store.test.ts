/** Durability of the store: groups, kill −9, torn and corrupt tails, a lost manifest, a second opener (§10). */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { openStore, type Store } from '../store.ts';

type Noted = { level: string; event: string; detail: Record<string, unknown> | undefined };

describe('shell: store', () => {
  let folder: string;
  let notes: Noted[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cle-store-'));
    notes = [];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const open = () =>
    openStore(folder, 'node.yaml', (level, event, detail) => void notes.push({ level, event, detail }));
  const itemOf = (n: number, size = 600) => ({
    hash: n.toString(16).padStart(64, '0'),
    bytes: Buffer.from(`${n}:`.padEnd(size, 'x')),
  });
  const put = (store: Store, from: number, to: number) =>
    Promise.all(
      Array.from(
        { length: to - from },
        (_, i) =>
          new Promise<string | null>((resolve) =>
            store.persist({ items: [itemOf(from + i)], records: [], relaxed: false }, (reason) =>
              resolve(reason),
            ),
          ),
      ),
    );
  const held = async (store: Store) =>
    [...(await store.restore()).items].map(({ bytes }) => Number.parseInt(`${Buffer.from(bytes)}`, 10));
  const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  const newest = (ending: string) =>
    readdirSync(join(folder, 'store'))
      .filter((name) => name.endsWith(ending))
      .map((name) => join(folder, 'store', name))
      .sort((x, y) => statSync(y).mtimeMs - statSync(x).mtimeMs || y.localeCompare(x))[0]!;

  it('gives back items and records, also after a restart, and forgets deleted records', async () => {
    const store = await open();
    expect(await put(store, 0, 50)).to.deep.equal(Array(50).fill(null));
    await new Promise((resolve) =>
      store.persist(
        {
          items: [],
          records: [
            ['checkpoint/1', Buffer.from('one')],
            ['checkpoint/2', Buffer.from('two')],
          ],
          relaxed: false,
        },
        resolve,
      ),
    );
    await new Promise((resolve) =>
      store.persist({ items: [], records: [['checkpoint/1', null]], relaxed: true }, resolve),
    );
    expect(store.readItem(itemOf(7).hash)).to.deep.equal(new Uint8Array(itemOf(7).bytes));
    expect(store.readItem('f'.repeat(64))).to.equal(null);
    await store.close();
    const again = await open();
    const { items, records } = await again.restore();
    expect([...items]).to.have.length(50);
    expect([...records].map(([key, value]) => [key, `${Buffer.from(value)}`])).to.deep.equal([
      ['checkpoint/2', 'two'],
    ]);
    await again.close();
    expect(notes).to.deep.equal([]);
  });

  it('keeps what it acknowledged through kill −9 at random moments', async function () {
    this.timeout(60_000);
    let acknowledged = -1;
    for (let round = 0; round < 8; round++) {
      const writer = spawnWriter(folder, acknowledged + 1);
      const lines = createInterface({ input: writer.stdout! });
      const lastAck = new Promise<number>((resolve) => {
        let last = acknowledged;
        lines.on('line', (line) => {
          if (last === acknowledged) setTimeout(() => writer.kill('SIGKILL'), 5 + Math.random() * 60);
          last = Number(line);
        });
        lines.on('close', () => resolve(last));
      });
      const last = await lastAck;
      expect(last).to.be.greaterThan(acknowledged);
      acknowledged = last;
      const store = await open();
      const numbersHeld = await held(store);
      expect(numbersHeld.length).to.be.greaterThan(acknowledged);
      expect(numbersHeld.slice(0, acknowledged + 1)).to.deep.equal(numbers(0, acknowledged + 1));
      await store.close();
    }
  });

  for (const cut of [1, 7, 100, 2000, 40_000]) {
    it(`drops a tail torn by ${cut} bytes and loses nothing before it`, async () => {
      const store = await open();
      await put(store, 0, 40);
      for (const n of numbers(40, 100)) await put(store, n, n + 1);
      await store.close();
      const log = newest('.log');
      const size = statSync(log).size;
      truncateSync(log, Math.max(0, size - cut));
      const again = await open();
      const left = await held(again);
      expect(left).to.deep.equal(numbers(0, left.length));
      expect(left.length)
        .to.be.at.least(100 - Math.ceil(cut / 600) - 1)
        .and.at.most(99);
      await put(again, 200, 201);
      await again.close();
    });
  }

  it('reports a corrupt record and keeps all before it', async () => {
    const store = await open();
    for (const n of numbers(0, 60)) await put(store, n, n + 1);
    await store.close();
    const log = newest('.log');
    const bytes = readFileSync(log);
    randomBytes(16).copy(bytes, Math.floor(bytes.length * 0.75));
    writeFileSync(log, bytes);
    const again = await open();
    const left = await held(again);
    expect(left.slice(0, 44)).to.deep.equal(numbers(0, 44));
    expect(left.length).to.be.below(60);
    expect(notes.map(({ event }) => event)).to.include('store-tail-dropped');
    await again.close();
  });

  for (const [what, damage] of [
    ['an empty MANIFEST', () => truncateSync(newest2(folder, /^MANIFEST-/), 0)],
    ['a lost CURRENT', () => rmSync(join(folder, 'store', 'CURRENT'))],
    ['a MANIFEST cut in the middle', () => truncateSync(newest2(folder, /^MANIFEST-/), 20)],
  ] as const) {
    it(`repairs ${what}`, async () => {
      const store = await open();
      await put(store, 0, 3000);
      await store.close();
      damage();
      const again = await open();
      expect(await held(again)).to.deep.equal(numbers(0, 3000));
      await again.close();
    });
  }

  it('tells who opens it twice, in one line', async () => {
    const store = await open();
    const outcome = await open().catch((error: Error) => error);
    expect((outcome as Error).message).to.match(/^node\.yaml: data_dir: .* is in use by another node$/);
    await store.close();
  });

  it('tells of a folder that cannot be made', async () => {
    writeFileSync(join(folder, 'file'), '');
    const outcome = await openStore(join(folder, 'file', 'data'), 'node.yaml', () => {}).catch(
      (error: Error) => error,
    );
    expect((outcome as Error).message).to.match(/^node\.yaml: data_dir: .*ENOTDIR[^\n]*$/);
  });
});

function newest2(folder: string, name: RegExp): string {
  const found = readdirSync(join(folder, 'store')).filter((file) => name.test(file));
  return join(folder, 'store', found.sort().at(-1)!);
}

function spawnWriter(folder: string, from: number): ChildProcess {
  const program = fileURLToPath(new URL('./fixtures/store-writer.ts', import.meta.url));
  return spawn(process.execPath, ['--import', 'tsx', program, folder, String(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
