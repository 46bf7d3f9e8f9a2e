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
import {
  type ProxyChange,
  type ToxicSettings,
  type ToxiproxyClient,
  ToxiproxyError,
} from './toxiproxy-client.ts';

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

/** What was set for a moment must not stay: in one call or, where that fails, each link by itself as long as anybody answers. */
async function undo(client: ToxiproxyClient, changes: readonly ProxyChange[]): Promise<void> {
  try {
    await client.change(changes);
  } catch {
    const failures: unknown[] = [];
    for (const change of changes) {
      await client.change([change]).catch((error: unknown) => failures.push(error));
      const [failure] = failures.slice(-1);
      if (failure instanceof ToxiproxyError && failure.status === 0) break;
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** When the server had taken it. Whatever fails on the way, the links are as they were. */
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
    try {
      await client.change(names.map((name) => ({ name, enabled: false })));
      return performance.now();
    } finally {
      await undo(
        client,
        names.map((name) => ({ name, enabled: true })),
      );
    }
  }
  const toxics = resetToxics(label);
  await client.change(names.map((name) => ({ name, add: toxics })));
  const at = performance.now();
  await bounded();
  await undo(
    client,
    names.map((name) => ({ name, remove: toxics.map((toxic) => toxic.name) })),
  );
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
  // With nothing to hold nothing was learnt.
  const proved = endings.length === 0 ? null : endings.every(({ how }) => how !== 'still open');
  return {
    at,
    what,
    evidence: {
      proved,
      links: links.length,
      held: endings,
    },
  };
}
