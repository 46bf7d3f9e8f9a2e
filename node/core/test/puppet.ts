/**
 * Puppets of the tiny network: endpoints that a test moves, and the messages that they say. They speak the wire and follow no
 * protocol; no core is known here.
 */
import { canonical } from '../canonical.ts';
import { float, parse } from '../json.ts';
import type { ItemType, JsonObject, LinkId } from '../types.ts';
import { type Credentials, credentials, epochS, sha256, sign } from './credentials.ts';
import type { Endpoint, Wires } from './wires.ts';

export interface Message {
  readonly type: string;
  readonly payload: JsonObject;
  readonly id: string;
  readonly object: JsonObject;
  readonly text: string;
  readonly atMs: number;
}

export interface PuppetLink {
  readonly id: LinkId;
  readonly dialed: boolean;
  readonly received: Message[];
  closed: number | null;
  sendText(text: string): void;
  /** Returns the message id. */
  send(type: string, payload: JsonObject, overrides?: JsonObject): string;
  hello(members?: JsonObject): string;
  /** Sends, lets time pass for the way there and back, returns the answer if there is one. */
  request(type: string, payload: JsonObject, overrides?: JsonObject): Message | null;
  answerTo(messageId: string): Message | null;
  of(type: string, gossipType?: string): Message[];
  close(code?: number): void;
}

export interface Puppet extends Endpoint {
  readonly links: PuppetLink[];
  /** Called with every message; does nothing unless a test sets it. */
  answer: (message: Message, link: PuppetLink) => void;
  /** Connects and says hello with these members changed; null says nothing. */
  dial(target: Endpoint, hello?: JsonObject | null): PuppetLink;
  seal(type: string, payload: JsonObject, overrides?: JsonObject): JsonObject;
  item(type: ItemType, payload?: JsonObject, overrides?: JsonObject): JsonObject;
}

export interface PuppetOptions {
  agentId?: string;
  listens?: boolean;
}

export function createPuppet(wires: Wires, label: string, options: PuppetOptions): Puppet {
  const own = credentials(label, options.agentId ?? `agent_${label}`);
  const puppet: Puppet = {
    label,
    address: `${label}:8888`,
    credentials: own,
    wires: new Map(),
    up: true,
    listens: options.listens ?? false,
    links: [],
    answer: () => {},
    feed(input) {
      if (!puppet.up) return;
      if (input.kind === 'accepted') {
        puppet.links.push(createLink(wires, puppet, input.link, false));
        return;
      }
      const link = puppet.links.find((each) => 'link' in input && each.id === input.link);
      if (!link) return;
      if (input.kind === 'closed') link.closed = input.code;
      if (input.kind !== 'text') return;
      const object = parse(input.text) as JsonObject;
      const message: Message = {
        type: object.message_type as string,
        payload: object.payload as JsonObject,
        id: object.message_id as string,
        object,
        text: input.text,
        atMs: wires.nowMs,
      };
      link.received.push(message);
      puppet.answer(message, link);
    },
    dial(target, hello = {}) {
      let link: PuppetLink | null = null;
      wires.connect(
        puppet,
        target.address,
        (id) => {
          link = createLink(wires, puppet, id, true);
          puppet.links.push(link);
        },
        () => {
          throw new Error(`${label} could not connect`);
        },
      );
      wires.until(() => link !== null, 1000, 'connection');
      const made = link as unknown as PuppetLink;
      if (hello) made.hello(hello);
      wires.run(wires.latencyMs * 2 + 1);
      return made;
    },
    seal: (type, payload, overrides) => seal(wires, own, type, payload, overrides),
    item: (type, payload, overrides) => item(wires, own, type, payload, overrides),
  };
  return puppet;
}

function createLink(wires: Wires, puppet: Puppet, id: LinkId, dialed: boolean): PuppetLink {
  const link: PuppetLink = {
    id,
    dialed,
    received: [],
    closed: null,
    sendText(text) {
      const size = Buffer.byteLength(text);
      wires.transmit(puppet, id, (to) => ({ kind: 'text', link: to, text, size }));
    },
    send(type, payload, overrides) {
      const object = seal(wires, puppet.credentials, type, payload, overrides);
      link.sendText(canonical(object));
      return object.message_id as string;
    },
    hello(members = {}) {
      const { nodeId } = puppet.credentials.identity;
      const payload: JsonObject = {
        version: '1.0',
        node_id: nodeId,
        capabilities: [],
        address: null,
        connection_type: 'sync',
        ...members,
      };
      for (const key of Object.keys(payload)) if (payload[key] === undefined) delete payload[key];
      return link.send('hello', payload);
    },
    request(type, payload, overrides) {
      const messageId = link.send(type, payload, overrides);
      wires.run(wires.latencyMs * 2 + 5);
      return link.answerTo(messageId);
    },
    answerTo: (messageId) =>
      link.received.find(
        ({ payload }) =>
          payload.request_id === messageId ||
          (payload.details as JsonObject | undefined)?.request_id === messageId,
      ) ?? null,
    of: (type, gossipType) =>
      link.received.filter(
        (message) =>
          message.type === type && (gossipType === undefined || message.payload.gossip_type === gossipType),
      ),
    close: (code = 1000) => wires.close(puppet, id, code),
  };
  return link;
}

function seal(
  wires: Wires,
  own: Credentials,
  type: string,
  payload: JsonObject,
  overrides: JsonObject = {},
): JsonObject {
  const { agentId, nodeId, publicKeyBase64 } = own.identity;
  const unsigned: JsonObject = {
    version: '1.0',
    message_type: type,
    message_id: wires.uuid(),
    timestamp: float(epochS + wires.nowMs / 1000 + 0.001),
    sender: { agent_id: agentId, node_id: nodeId, public_key: publicKeyBase64 },
    payload,
    ...overrides,
  };
  return sign(own, unsigned);
}

function item(
  wires: Wires,
  own: Credentials,
  type: ItemType,
  payload: JsonObject = {},
  overrides: JsonObject = {},
): JsonObject {
  const { agentId, nodeId, publicKeyBase64 } = own.identity;
  const sender: JsonObject = {
    agent_id: agentId,
    node_id: nodeId,
    public_key: publicKeyBase64,
    certificate: Buffer.from(own.certificate).toString('base64'),
  };
  return seal(wires, own, type, { ...bodies[type], ...payload }, { sender, ...overrides });
}

/** `rule_` + hash of an item or envelope. */
export function hashOf(item: JsonObject): string {
  const { signature: _signature, ...unsigned } = item;
  return `rule_${sha256(canonical(unsigned))}`;
}

export const bodies: Record<ItemType, JsonObject> = {
  commit: {
    rule_hash: `rule_${'a'.repeat(64)}`,
    logic_signature: 'p -> q',
    context_signature: 'weather/rain',
    confidence: float(0.5),
    evidence_count: 3,
    metadata: {},
  },
  challenge: {
    target_rule_hash: `rule_${'a'.repeat(64)}`,
    contradicting_rule: { logic_form: 'p', context: 'c' },
    reason: 'because',
    evidence: [],
  },
  confirm: { rule_hash: `rule_${'a'.repeat(64)}`, confidence_delta: float(0.1), additional_evidence: 1 },
};

export function gossip(from: Endpoint, members: JsonObject): JsonObject {
  return {
    gossip_id: '',
    gossip_type: 'announce',
    topic: 'new_commit',
    topics: ['new_commit'],
    item_hashes: [],
    ttl: 2,
    origin: from.credentials.identity.nodeId,
    ...members,
  };
}
