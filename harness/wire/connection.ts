/**
 * A puppet's connection: sends envelopes or anything else, remembers and judges everything that arrives, and waits for
 * things with a bound. What it does unasked (manners) is `manners.ts`, the handshake `handshake.ts`, opening `puppet.ts`
 * and `listener.ts`.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { type Style, written } from './canonical.ts';
import { type Proof, proofOf } from './certificate.ts';
import { buildEnvelope, type Overrides } from './envelope.ts';
import { type OutgoingFrame, opcodes } from './frames.ts';
import { digestRequest } from './gossip.ts';
import { createInbox, describe, type Inbox, within } from './inbox.ts';
import type { Json, JsonObject } from './json.ts';
import { createManners, type Manners, observeManners } from './manners.ts';
import { type Matcher, type Message, matches, readMessage } from './message.ts';
import { judge, record, type Violation } from './monitors.ts';
import type { Puppet } from './puppet.ts';
import { createTranscript, type Transcript, type TranscriptEntry } from './transcript.ts';
import type { OpenTls, Upgraded } from './transport.ts';
import { type Closed, openLine, type SocketEvents, type WebSocketLine } from './websocket.ts';

export { Unseen } from './inbox.ts';

export interface SendOptions extends Overrides {
  /** How the envelope is written; default: canonical form. */
  style?: Style;
}

export interface TextOptions {
  /** Sizes in bytes of the first fragments; the rest goes into a last one. */
  fragments?: readonly number[];
  /** A ping after each fragment but the last. */
  pings?: boolean;
  /** One TLS record per byte of the frame. */
  byteWise?: boolean;
}

export interface ConnectionOptions {
  /** In transcripts and violations. Default `puppet>address`. */
  label?: string;
  manners?: Partial<Manners>;
  /** How many messages `received` holds at most; the oldest go. Default 50 000. */
  keepMessages?: number;
  transcriptBytes?: number;
  onTranscript?: (entry: TranscriptEntry) => void;
  /** Start without reading from the socket; `resume()` begins. */
  paused?: boolean;
}

export interface Connection {
  readonly kind: 'connected';
  readonly label: string;
  readonly puppet: Puppet;
  readonly role: 'dialer' | 'acceptor';
  /** What the peer's certificate proves, or in words why nothing. */
  readonly peer: Proof | string;
  readonly tls: {
    protocol: string | null;
    cipher: string;
    sessionReused: boolean;
    peerCertificate: Uint8Array;
  };
  /** Headers of the other side's upgrade message, lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly openedAt: number;
  readonly received: readonly Message[];
  readonly violations: readonly Violation[];
  readonly transcript: Transcript;
  readonly manners: Manners;
  /** Pings and pongs received. */
  readonly controls: readonly { kind: 'ping' | 'pong'; at: number; payload: Buffer }[];
  /** null while open. */
  readonly ended: Closed | null;
  readonly closed: Promise<Closed>;
  /** TLS session (ticket) for a resumption attempt, once the server has sent one. */
  session(): Buffer | undefined;

  /** Signs and sends; returns the message_id. */
  send(messageType: string, payload: Json, options?: SendOptions): string;
  /** Sends a ready envelope (an item, a tampered one …); returns its message_id. */
  sendEnvelope(envelope: JsonObject, style?: Style): string;
  /** One text message with exactly this text (a Buffer need not be UTF-8). */
  sendText(text: string | Uint8Array, options?: TextOptions): void;
  sendFrame(frame: OutgoingFrame): void;
  /** Bytes below the frames. */
  sendRaw(bytes: Uint8Array): void;
  /** All written bytes were handed to the kernel. */
  flushed(): Promise<void>;
  /** Bytes that wait in this process because the peer does not read. */
  readonly unsent: number;
  /** Stops and starts reading from the socket (zero window). */
  pause(): void;
  resume(): void;

  /** The earliest matching message not yet taken by `next`/`request`, waiting for it; rejects with `Unseen`. */
  next(matcher: Matcher, withinMs?: number): Promise<Message>;
  /** As `next`, but null in place of `Unseen`. */
  maybe(matcher: Matcher, withinMs?: number): Promise<Message | null>;
  /** Sends and waits for the answer (any type, `error` included) that names its message_id; rejects with `Unseen`. */
  request(
    messageType: string,
    payload: Json,
    options?: SendOptions & { withinMs?: number },
  ): Promise<Message>;
  /** The answer to a message sent before, by its id. */
  answer(messageId: string, withinMs?: number): Promise<Message>;
  /** All matching messages so far, taken or not. */
  seen(matcher: Matcher): Message[];
  /** Calls for each message from now on; returns how to stop it. */
  onMessage(listener: (message: Message) => void): () => void;
  /** A sync_digest whose answer proves that everything sent before was handled (one connection is in order, §6). */
  fence(withinMs?: number): Promise<Message>;
  /** The end within the bound, or null. */
  closedWithin(withinMs: number): Promise<Closed | null>;

  /** WebSocket close, waits for the end. */
  close(code?: number, reason?: string): Promise<Closed>;
  /** TCP FIN without a close frame. */
  destroy(): void;
  /** TCP RST. */
  reset(): void;
}

const defaultWaitMs = 5_000;

/** Wraps an upgraded TLS socket. `upgraded.rest`: bytes that came with the upgrade. */
export function openConnection(
  puppet: Puppet,
  role: 'dialer' | 'acceptor',
  below: Pick<OpenTls, 'socket' | 'tcp' | 'session'>,
  upgraded: Pick<Upgraded, 'rest' | 'headers'>,
  options: ConnectionOptions & { label: string },
): Connection {
  const { socket } = below;
  const peerCertificate = new Uint8Array(socket.getPeerX509Certificate()?.raw ?? []);
  const manners = createManners(puppet, options.manners);
  const inbox = createInbox(options.label, options.keepMessages ?? 50_000);
  const transcript = createTranscript(options.transcriptBytes, options.onTranscript);
  const observed: Observed = {
    puppet,
    label: options.label,
    peer: proofOf(peerCertificate, puppet.caPem),
    violations: [],
    controls: [],
    inbox,
    transcript,
    count: 0,
    ended: null,
  };
  let resolveClosed: (closed: Closed) => void = () => {};
  const closed = new Promise<Closed>((resolve) => {
    resolveClosed = resolve;
  });
  const events: SocketEvents = {
    text: (text, size, at) => takeText(observed, text, size, at),
    control(kind, payload, at) {
      takeControl(observed, kind, payload, at);
      if (kind === 'ping' && manners.pong) line.writeFrame({ opcode: opcodes.pong, payload });
    },
    offence: (because, at) => takeOffence(observed, because, at),
    closed(how) {
      observed.ended = how;
      transcript.add({ at: how.at, direction: 'in', kind: 'end', text: describe(how), size: 0 });
      inbox.end(how);
      resolveClosed(how);
    },
  };
  const line = openLine(socket, below.tcp, role === 'dialer', events, () => manners.closeBack);
  const connection: Connection = {
    kind: 'connected',
    label: options.label,
    puppet,
    role,
    peer: observed.peer,
    tls: {
      protocol: socket.getProtocol(),
      cipher: socket.getCipher()?.standardName ?? '',
      sessionReused: socket.isSessionReused(),
      peerCertificate,
    },
    headers: upgraded.headers,
    openedAt: performance.now(),
    received: inbox.received,
    violations: observed.violations,
    transcript,
    manners,
    controls: observed.controls,
    get ended() {
      return observed.ended;
    },
    get unsent() {
      return socket.writableLength;
    },
    closed,
    session: below.session,
    ...sendingOn(line, puppet, transcript),
    ...waitingOn(inbox, closed, () => connection),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    async close(code = 1000, reason = '') {
      transcript.add(sent('close', `${code} ${reason}`.trim(), 0));
      if (observed.ended === null) line.close(code, reason);
      return closed;
    },
    destroy: () => line.destroy(),
    reset: () => line.reset(),
  };
  observeManners(connection);
  line.start(upgraded.rest);
  if (options.paused) socket.pause();
  return connection;
}

/** What has been seen of the other side so far. */
interface Observed {
  puppet: Puppet;
  label: string;
  peer: Proof | string;
  violations: Violation[];
  controls: { kind: 'ping' | 'pong'; at: number; payload: Buffer }[];
  inbox: Inbox;
  transcript: Transcript;
  count: number;
  ended: Closed | null;
}

function takeText(observed: Observed, text: string, size: number, at: number): void {
  const unjudged = readMessage(text, size, at, observed.count);
  observed.count += 1;
  const { book, identity } = observed.puppet;
  const before = book.violations.length;
  const arrival = { connection: observed.label, receiver: identity.nodeId, peer: observed.peer, at };
  const object = unjudged.fault === null ? unjudged.object : null;
  const verified = judge(book, arrival, text, size, object, unjudged.fault);
  observed.violations.push(...book.violations.slice(before));
  observed.transcript.add({ at, direction: 'in', kind: 'text', text, size, verified });
  observed.inbox.push(
    Object.defineProperty(unjudged, 'verified', { value: verified, enumerable: true }) as Message,
  );
}

function takeControl(observed: Observed, kind: 'close' | 'ping' | 'pong', payload: Buffer, at: number): void {
  const text =
    kind === 'close' && payload.length >= 2
      ? `${payload.readUInt16BE(0)} ${payload.subarray(2).toString('utf8')}`.trim()
      : payload.toString('latin1');
  observed.transcript.add({ at, direction: 'in', kind, text, size: payload.length });
  if (kind !== 'close') observed.controls.push({ kind, at, payload });
}

function takeOffence(observed: Observed, because: string, at: number): void {
  const violation: Violation = { row: 'ENV-08', because, connection: observed.label, at, text: '' };
  const { book } = observed.puppet;
  const before = book.violations.length;
  record(book, violation);
  observed.violations.push(...book.violations.slice(before));
  observed.transcript.add({ at, direction: 'in', kind: 'raw', text: because, size: 0 });
}

function sent(kind: TranscriptEntry['kind'], text: string, size: number): TranscriptEntry {
  return { at: performance.now(), direction: 'out', kind, text, size };
}

type Sending = Pick<Connection, 'send' | 'sendEnvelope' | 'sendText' | 'sendFrame' | 'sendRaw' | 'flushed'>;

function sendingOn(line: WebSocketLine, puppet: Puppet, transcript: Transcript): Sending {
  const sending: Sending = {
    send: (messageType, payload, { style, ...overrides } = {}) =>
      sending.sendEnvelope(buildEnvelope(puppet.identity, messageType, payload, overrides), style),
    sendEnvelope(envelope, style) {
      sending.sendText(written(envelope, style));
      return String(envelope.message_id);
    },
    sendText(text, { fragments = [], pings = false, byteWise = false } = {}) {
      const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : Buffer.from(text);
      transcript.add(sent('text', typeof text === 'string' ? text : bytes.toString('latin1'), bytes.length));
      for (const frame of framesOf(bytes, fragments, pings)) {
        if (byteWise) line.writeFrameByteWise(frame);
        else line.writeFrame(frame);
      }
    },
    sendFrame(frame) {
      const payload = Buffer.from(frame.payload ?? '');
      const text = `opcode ${frame.opcode} ${payload.toString('latin1').slice(0, 2_000)}`;
      transcript.add(sent('frame', text, payload.length));
      line.writeFrame(frame);
    },
    sendRaw(bytes) {
      transcript.add(sent('raw', Buffer.from(bytes).toString('latin1').slice(0, 2_000), bytes.length));
      line.writeRaw(bytes);
    },
    async flushed() {
      const { socket } = line;
      // `drain` comes only after a write that was refused: what fits into the buffer leaves it without a word.
      while (socket.writableLength > 0 && !socket.destroyed) await delay(5);
    },
  };
  return sending;
}

type Waiting = Pick<
  Connection,
  'next' | 'maybe' | 'request' | 'answer' | 'seen' | 'onMessage' | 'fence' | 'closedWithin'
>;

function waitingOn(inbox: Inbox, closed: Promise<Closed>, connection: () => Connection): Waiting {
  const answerTo = (what: string, messageId: string, withinMs: number): Promise<Message> =>
    inbox.need(`answer to ${what}`, (message) => message.requestId === messageId, withinMs);
  const waiting: Waiting = {
    next: (matcher, withinMs = defaultWaitMs) =>
      inbox.need(typeof matcher === 'string' ? matcher : 'matching message', matcher, withinMs),
    maybe: (matcher, withinMs = defaultWaitMs) => inbox.wait(matcher, withinMs),
    request: (messageType, payload, { withinMs = defaultWaitMs, ...sending } = {}) =>
      answerTo(messageType, connection().send(messageType, payload, sending), withinMs),
    answer: (messageId, withinMs = defaultWaitMs) => answerTo(messageId, messageId, withinMs),
    seen: (matcher) => inbox.received.filter((message) => matches(matcher, message)),
    onMessage: inbox.onMessage,
    fence(withinMs = defaultWaitMs) {
      const { items, pulledFrom } = connection().manners;
      // A peer with `sync` that asks at prefix '' with another root is pulled from in turn (§8): ask elsewhere then.
      const payload = digestRequest(items.root(), items.size, { prefix: pulledFrom ? 'f' : '' });
      return waiting.request('sync_digest', payload, { withinMs });
    },
    closedWithin: (withinMs) => within(closed, withinMs),
  };
  return waiting;
}

function framesOf(bytes: Buffer, fragments: readonly number[], pings: boolean): OutgoingFrame[] {
  const frames: OutgoingFrame[] = [];
  let at = 0;
  for (const size of fragments) {
    frames.push({
      opcode: at === 0 && frames.length === 0 ? opcodes.text : opcodes.continuation,
      payload: bytes.subarray(at, at + size),
      fin: false,
    });
    if (pings) frames.push({ opcode: opcodes.ping, payload: 'between' });
    at += size;
  }
  frames.push({
    opcode: frames.length === 0 ? opcodes.text : opcodes.continuation,
    payload: bytes.subarray(at),
    fin: true,
  });
  return frames;
}
