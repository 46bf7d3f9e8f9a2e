/**
 * The fault `reset`: connections that live now end at once, later ones work. On the embedded server by `reset_peer` toxics
 * that are put in and taken out again; on a real Toxiproxy, whose toxic needs traffic and then sends a FIN, by switching the
 * link off and on.
 */

import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Receipt } from '../engine.ts';
import type { HeldConnection, LinkDialler } from './probe.ts';
import { type ProbedLink, sampleOf } from './receipts.ts';
import type { ToxicSettings, ToxiproxyClient } from './toxiproxy-client.ts';

/** How long the server may take to end a held connection, ms. */
const withinMs = 2000;

function resetToxics(label: string): ToxicSettings[] {
  return (['upstream', 'downstream'] as const).map((stream) => ({
    name: `${label}_${stream}`,
    type: 'reset_peer',
    stream,
    toxicity: 1,
    attributes: { timeout: 0 },
  }));
}

const isUp = (link: ProbedLink): boolean => !link.faults().some(({ kind }) => kind === 'down');

interface Held extends HeldConnection {
  link: string;
}

/** Connections of our own that must share the fate of the nodes'. */
async function hold(dialler: LinkDialler, links: readonly ProbedLink[]): Promise<Held[]> {
  const held: Held[] = [];
  for (const link of sampleOf(links.filter(isUp))) {
    const connection = await dialler.hold(link.listen).catch(() => null);
    if (connection === null) continue;
    link.countProbe();
    held.push({ ...connection, link: link.name });
  }
  return held;
}

async function strike(
  client: ToxiproxyClient,
  links: readonly ProbedLink[],
  label: string,
  held: readonly Held[],
): Promise<number> {
  const names = links.filter(isUp).map(({ name }) => name);
  const bounded = (): Promise<unknown> =>
    Promise.race([Promise.all(held.map(({ ended }) => ended)), sleep(withinMs, null, { ref: false })]);
  if (!(await client.version()).superset) {
    await client.change(names.map((name) => ({ name, enabled: false })));
    const at = performance.now();
    await client.change(names.map((name) => ({ name, enabled: true })));
    return at;
  }
  const toxics = resetToxics(label);
  await client.change(names.map((name) => ({ name, add: toxics })));
  const at = performance.now();
  await bounded();
  await client.change(names.map((name) => ({ name, remove: toxics.map((toxic) => toxic.name) })));
  return at;
}

/** Resets the links' connections once, and says how held ones ended. */
export async function resetLinks(
  client: ToxiproxyClient,
  dialler: LinkDialler | null,
  links: readonly ProbedLink[],
  { label, what }: { label: string; what: string },
): Promise<Receipt> {
  const opened = dialler === null ? [] : await hold(dialler, links);
  // Where nobody listens behind the link the connection ends by itself within a moment, and would prove nothing.
  await sleep(20);
  const held = opened.filter((one) => one.isOpen());
  const at = await strike(client, links, label, held);
  const endings = await Promise.all(
    held.map(async ({ link, ended, close }) => {
      const how = await Promise.race([ended, sleep(withinMs, 'still open', { ref: false })]);
      close();
      return { link, how };
    }),
  );
  return {
    at,
    what,
    evidence: {
      proved: endings.length > 0 && endings.every(({ how }) => how !== 'still open'),
      links: links.length,
      held: endings,
    },
  };
}
