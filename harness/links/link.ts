/**
 * One link of the plane: its pair, what is in force on it, and what has to change on its proxy when that changes. Plain
 * state; the calls are the plane's.
 */

import type { LinkFault, Pair } from './fault-plane.ts';
import type { ProbedLink } from './receipts.ts';
import type { ProxyChange, ProxyState, ToxicSettings } from './toxiproxy-client.ts';

/** A link to make: `listen` is what `from` dials, `upstream` is where `to` listens; both `host:port`. */
export interface LinkAddress extends Pair {
  listen: string;
  upstream: string;
}

/** Faults by the id of their application. */
export type Force = ReadonlyMap<number, LinkFault>;

export interface Link extends ProbedLink {
  readonly pair: LinkAddress;
  inForce: Force;
  /** The toxics that the server has taken for it. */
  toxics: readonly ToxicSettings[];
  /** Names of toxics that were ours and that it has taken out. */
  readonly removed: Set<string>;
  probes: number;
}

/** Which toxics make this force, given those that are set already. */
export type Compose = (force: Force, set: readonly ToxicSettings[]) => ToxicSettings[];

export const linkKey = ({ from, to }: Pair): string => `${from}>${to}`;

export function makeLink(pair: LinkAddress, prefix: string): Link {
  const link: Link = {
    pair,
    name: `${prefix}${linkKey(pair)}`,
    listen: pair.listen,
    inForce: new Map(),
    toxics: [],
    removed: new Set(),
    probes: 0,
    faults: () => [...link.inForce.values()],
    countProbe() {
      link.probes += 1;
    },
  };
  return link;
}

const isDown = (force: Force): boolean => [...force.values()].some(({ kind }) => kind === 'down');

const sameEffect = (a: ToxicSettings, b: ToxicSettings): boolean =>
  (a.toxicity ?? 1) === (b.toxicity ?? 1) &&
  Object.entries(a.attributes).every(([name, value]) => b.attributes[name] === value);

/** The way from `have` to `want`. */
function difference(
  have: readonly ToxicSettings[],
  want: readonly ToxicSettings[],
): Required<Pick<ProxyChange, 'add' | 'update' | 'remove'>> {
  const had = new Map(have.map((toxic) => [toxic.name, toxic]));
  const wanted = new Set(want.map(({ name }) => name));
  return {
    add: want.filter(({ name }) => !had.has(name)),
    update: want.filter((toxic) => had.has(toxic.name) && !sameEffect(toxic, had.get(toxic.name)!)),
    remove: have.map(({ name }) => name).filter((name) => !wanted.has(name)),
  };
}

export interface Step {
  link: Link;
  force: Force;
  toxics: ToxicSettings[];
  change: ProxyChange;
}

/** What has to be called so that `force` is what is in force on the link. */
export function stepTo(link: Link, force: Force, compose: Compose): Step {
  const toxics = compose(force, link.toxics);
  const change: ProxyChange = { name: link.name, ...difference(link.toxics, toxics) };
  if (isDown(force) !== isDown(link.inForce)) change.enabled = !isDown(force);
  return { link, force, toxics, change };
}

/** Back to what is noted as in force, from whatever the server has. */
export function repair(link: Link, proxy: ProxyState): ProxyChange {
  const change: ProxyChange = { name: link.name, ...difference(proxy.toxics, link.toxics) };
  if (proxy.enabled === isDown(link.inForce)) change.enabled = !proxy.enabled;
  return change;
}

/** The server has taken the step. */
export function note({ link, force, toxics, change }: Step): void {
  link.inForce = force;
  link.toxics = toxics;
  for (const name of change.remove ?? []) link.removed.add(name);
  for (const { name } of toxics) link.removed.delete(name);
}

/** How the server's proxy differs from what we have set on the link; null if it does not. Toxics of others are theirs. */
export function lapse(link: Link, proxy: ProxyState): string | null {
  if (proxy.enabled === isDown(link.inForce)) {
    return `is ${proxy.enabled ? 'up' : 'down'}, and we did not set that`;
  }
  const have = new Map(proxy.toxics.map((toxic) => [toxic.name, toxic]));
  for (const toxic of link.toxics) {
    const found = have.get(toxic.name);
    if (found === undefined) return `has lost its toxic ${toxic.name}`;
    if (!sameEffect(toxic, found)) return `has other settings in its toxic ${toxic.name}`;
  }
  const back = proxy.toxics.find(({ name }) => link.removed.has(name));
  return back === undefined ? null : `has a toxic ${back.name}, which we took out`;
}
