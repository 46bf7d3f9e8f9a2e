/**
 * A tiny network for tests of the core: nodes and puppets on one virtual clock, with kills and restarts. Signatures, delivery,
 * stores and puppets have files of their own beside it.
 */
import { createPuppet, type Puppet, type PuppetOptions } from './puppet.ts';
import { createSimNode, type NodeOptions, type SimNode } from './sim-node.ts';
import { createWires, type Endpoint, type Wires } from './wires.ts';

export interface Net extends Wires {
  readonly nodes: SimNode[];
  /** Adds and starts a node. */
  node(label: string, options?: NodeOptions): SimNode;
  puppet(label: string, options?: PuppetOptions): Puppet;
  /** Stops a node without a word (kill −9) and forgets its connections. */
  kill(node: Endpoint): void;
  /** Starts it again with what is in its store. */
  restart(node: SimNode): void;
}

export function createNet(seed = 1): Net {
  const wires = createWires(seed);
  const nodes: SimNode[] = [];
  return Object.assign(wires, {
    nodes,
    node(label: string, options: NodeOptions = {}) {
      const node = createSimNode(wires, label, options);
      wires.add(node);
      nodes.push(node);
      node.boot();
      return node;
    },
    puppet(label: string, options: PuppetOptions = {}) {
      const puppet = createPuppet(wires, label, options);
      wires.add(puppet);
      return puppet;
    },
    kill(endpoint: Endpoint) {
      endpoint.up = false;
      wires.unplug(endpoint);
    },
    restart(node: SimNode) {
      node.up = true;
      node.boot();
    },
  });
}
