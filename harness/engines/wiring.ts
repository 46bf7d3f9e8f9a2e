/**
 * Who finds whom under which address: the proxied links of a plan and, for each node, what it listens on, what it tells others,
 * and where each name leads for it alone. Pure; the addresses were claimed before.
 */

import type { LinkAddress } from '../links/link.ts';
import type { Plan, PlannedNode } from '../plan.ts';
import type { BootstrapNode } from './node-files.ts';
import { hostAndPort } from './probe.ts';

/** The addresses of a run, as wiring needs them. */
export interface AddressBook {
  readonly scheme: 'aliases' | 'ports';
  /** `host:port` on which node number `index` (from 1) listens. */
  node(index: number): string;
  /** `host:port` on which the proxy of a link listens; with `ports` there is one per listener and `from` must be null. */
  link(from: number | null, to: number): string;
}

/** dialer → listener for every ordered pair; with `ports` one per listener, `from` is `*` then. */
export function linkPairs(plan: Plan, addresses: AddressBook): LinkAddress[] {
  const pairs: LinkAddress[] = [];
  plan.nodes.forEach(({ name: to }, toIndex) => {
    const upstream = addresses.node(toIndex + 1);
    if (addresses.scheme === 'ports') {
      pairs.push({ from: '*', to, listen: addresses.link(null, toIndex + 1), upstream });
      return;
    }
    plan.nodes.forEach(({ name: from }, fromIndex) => {
      if (from === to) return;
      pairs.push({ from, to, listen: addresses.link(fromIndex + 1, toIndex + 1), upstream });
    });
  });
  return pairs;
}

export interface Wiring {
  listen: string;
  advertise: string;
  bootstrapNodes: BootstrapNode[];
  hosts: Record<string, string>;
}

export function wiringOf(node: PlannedNode, plan: Plan, addresses: AddressBook): Wiring {
  const numbers = new Map(plan.nodes.map(({ name }, index) => [name, index + 1]));
  const own = numbers.get(node.name)!;
  // Where this node finds another, or itself.
  const linkTo = (name: string): { host: string; port: number } => {
    const to = numbers.get(name)!;
    const from = addresses.scheme === 'ports' ? null : own;
    return hostAndPort(from === to ? addresses.node(to) : addresses.link(from, to));
  };
  return {
    listen: addresses.node(own),
    advertise: `${node.name}:${linkTo(node.name).port}`,
    bootstrapNodes: node.bootstrapNames.map((name) => {
      const other = plan.nodes.find((one) => one.name === name);
      if (other === undefined)
        throw new Error(`${node.name} has the bootstrap node ${name}, which is not planned`);
      return { host: name, port: linkTo(name).port, publicKey: other.publicKeyBase64 };
    }),
    hosts: Object.fromEntries(plan.nodes.map(({ name }) => [name, linkTo(name).host])),
  };
}
