/**
 * What runs in the container that stands among the nodes and dials links as they do: takes orders as lines of JSON on its standard
 * input, answers on its standard output. Bundled into one text and given to the node image; knows links by their addresses only.
 */

import { createInterface } from 'node:readline';
import { type HeldConnection, ownDialler, type ProbeOptions } from '../../links/probe.ts';

export type Order =
  | { id: number; kind: 'probe'; options: Omit<ProbeOptions, 'hello'> & { hello: string } }
  | { id: number; kind: 'hold'; address: string }
  | { id: number; kind: 'let-go' };

const held = new Map<number, HeldConnection>();
const say = (what: object): void => void process.stdout.write(`${JSON.stringify(what)}\n`);

async function obey(order: Order): Promise<void> {
  const { id } = order;
  if (order.kind === 'let-go') {
    held.get(id)?.close();
    held.delete(id);
    return;
  }
  if (order.kind === 'probe') {
    const { hello, ...options } = order.options;
    say({ id, result: await ownDialler.probe({ ...options, hello: Buffer.from(hello, 'base64') }) });
    return;
  }
  const connection = await ownDialler.hold(order.address);
  held.set(id, connection);
  say({ id, result: null });
  say({ id, ended: await connection.ended });
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line) as Order;
    obey(order).catch((error: unknown) => say({ id: order.id, error: String(error) }));
  })
  .on('close', () => process.exit(0));
say({ id: 0, result: null });
