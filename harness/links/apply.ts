/**
 * Applying faults to links and curing them: changes in order, a receipt for each. Knows the links and the API, not how the
 * plane was opened.
 */

import type { Receipt } from '../engine.ts';
import type { AppliedLinkFault, FaultPlane, LinkFault, Pair } from './fault-plane.ts';
import { describeFault } from './fault-toxics.ts';
import { type Compose, type Force, type Link, lapse, linkKey, note, repair, stepTo } from './link.ts';
import type { LinkDialler } from './probe.ts';
import { type Prover, prove } from './receipts.ts';
import { resetLinks } from './reset-links.ts';
import type { ToxiproxyClient } from './toxiproxy-client.ts';

export interface Ground {
  client: ToxiproxyClient;
  links: readonly Link[];
  /** What probes say first. */
  hello: Buffer;
  /** null: nobody can dial the links to see. */
  dialler: LinkDialler | null;
  compose: Compose;
}

/** One after the other, in the order of the calls, so that a cure never overtakes what it cures. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

export function takingTurns(): InTurn {
  let turn: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  };
}

function proverOver({ client, links, hello, dialler }: Ground, inTurn: InTurn): Prover {
  const byName = new Map(links.map((link) => [link.name, link]));
  return {
    hello,
    dialler,
    counters: (name) => client.link(name),
    allCounters: () => client.usedLinks(),
    async listed(asked) {
      const proxies = await inTurn(() => client.proxies());
      return asked.every(({ name }) => {
        const link = byName.get(name);
        const proxy = proxies[name];
        return link !== undefined && proxy !== undefined && lapse(link, proxy) === null;
      });
    },
  };
}

/** The plane's `apply`. */
export function applier(ground: Ground, inTurn: InTurn): FaultPlane['apply'] {
  const { client, links } = ground;
  const prover = proverOver(ground, inTurn);
  const byKey = new Map(links.map((link) => [linkKey(link.pair), link]));
  let applications = 0;

  const find = (pairs: readonly Pair[]): Link[] => {
    const found = new Set<Link>();
    for (const pair of pairs) {
      const link = byKey.get(linkKey(pair));
      if (link === undefined) throw new Error(`there is no link ${linkKey(pair)}`);
      found.add(link);
    }
    return [...found];
  };

  return async (pairs, fault): Promise<AppliedLinkFault> => {
    const struck = find(pairs);
    applications += 1;
    const id = applications;
    const what = `${describeFault(fault)} on ${struck.length} link${struck.length === 1 ? '' : 's'}`;
    if (fault.kind === 'reset') {
      const receipt = await inTurn(() =>
        resetLinks(client, ground.dialler, struck, { label: `f${id}`, what }),
      );
      return { receipt, cure: async () => ({ ...receipt, what: `nothing to cure: ${what}` }) };
    }
    // A copy of its own, so that the same literal applied twice is two faults in force.
    const own = { ...fault };
    const at = await inTurn(() => bringAbout(ground, struck, withFault(id, own)));
    const receipt = await prove(struck, prover, { fault: own, cured: false, what, at });
    let cured: Promise<Receipt> | null = null;
    const cure = async (): Promise<Receipt> => {
      const curedAt = await inTurn(() => bringAbout(ground, struck, withoutFault(id)));
      return prove(struck, prover, { fault: own, cured: true, what: `${what}, lifted`, at: curedAt });
    };
    return {
      receipt,
      cure() {
        cured ??= cure().catch((error: unknown) => {
          // It is in force still, and may be lifted at a second try.
          cured = null;
          throw error;
        });
        return cured;
      },
    };
  };
}

/** Makes what `forceOf` says the force of each link; performance.now when the server had taken it. */
export async function bringAbout(
  { client, compose }: Pick<Ground, 'client' | 'compose'>,
  struck: readonly Link[],
  forceOf: (link: Link) => Force,
): Promise<number> {
  const steps = struck.map((link) => stepTo(link, forceOf(link), compose));
  try {
    await client.change(steps.map(({ change }) => change));
  } catch (error) {
    await putBack(client, struck);
    throw error;
  }
  // Noted afterwards, so that a probe which overlaps the change sees the force move and holds its tongue.
  for (const step of steps) note(step);
  return performance.now();
}

/** A server that works call by call may have done half of a change that failed. */
async function putBack(client: ToxiproxyClient, struck: readonly Link[]): Promise<void> {
  const proxies = await client.proxies().catch(() => null);
  for (const link of proxies === null ? [] : struck) {
    const proxy = proxies?.[link.name];
    if (proxy !== undefined) await client.change([repair(link, proxy)]).catch(() => {});
  }
}

const withFault =
  (id: number, fault: LinkFault) =>
  (link: Link): Force =>
    new Map([...link.inForce, [id, fault]]);

const withoutFault =
  (id: number) =>
  (link: Link): Force =>
    new Map([...link.inForce].filter(([other]) => other !== id));
