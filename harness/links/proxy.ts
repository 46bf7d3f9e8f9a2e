/**
 * One proxied link: a listener, its live connections, its toxics and its counters. Starts and stops in the order asked
 * for. Knows nothing of HTTP.
 */

import { createServer, type Server, type Socket } from 'node:net';
import { AddressError, parseHostPort, printHostPort } from './addresses.ts';
import { type Connection, type Direction, type Ground, openConnection, type Toxic } from './connection.ts';
import type { StreamTotals } from './stream.ts';
import type { Attributes, ToxicKind } from './toxics/toxic.ts';

/** Why a proxy cannot listen, in Go's words. */
export class ListenError extends Error {}

export interface ProxySettings {
  name: string;
  /** As given; once started as bound. */
  listen: string;
  upstream: string;
}

export interface NewToxic {
  name: string;
  kind: ToxicKind;
  direction: Direction;
  streamText: string;
  toxicity: number;
  attributes: Attributes;
}

export interface LinkProxy {
  readonly settings: Readonly<ProxySettings>;
  enabled(): boolean;
  /** Upstream toxics first, each direction in the order of their making. */
  toxics(): readonly Toxic[];
  totals: Readonly<Record<Direction, StreamTotals>>;
  accepted(): number;
  dialFailures(): number;
  open(): number;
  heldBytes(): number;
  /** Listens; throws ListenError, and is then not enabled. */
  start(): Promise<void>;
  /** Closes the listener and every connection. */
  stop(): Promise<void>;
  /** Stops, takes the new addresses, and starts if `enabled`. Toxics stay. */
  move(to: { listen: string; upstream: string; enabled: boolean }): Promise<void>;
  addToxic(toxic: NewToxic): Toxic;
  updateToxic(toxic: Toxic, attributes: Attributes, toxicity: number): void;
  /** Takes out all of these at once. */
  removeToxics(gone: readonly Toxic[]): void;
}

const freshTotals = (): StreamTotals => ({ taken: 0, passed: 0, dropped: 0 });

const listenFaults: Readonly<Record<string, string>> = {
  EADDRINUSE: 'bind: address already in use',
  EADDRNOTAVAIL: 'bind: cannot assign requested address',
  EACCES: 'bind: permission denied',
};

function bind(server: Server, listen: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { host, port } = listen === '' ? { host: '', port: 0 } : parseHostPort(listen);
    const fail = (error: NodeJS.ErrnoException): void => {
      const lookup = error.syscall === 'getaddrinfo' ? `lookup ${host}: no such host` : null;
      const known = listenFaults[error.code ?? ''];
      if (lookup !== null) reject(new ListenError(`listen tcp: ${lookup}`));
      else reject(new ListenError(`listen tcp ${listen}: ${known ?? error.message}`));
    };
    server.once('error', fail);
    server.listen({ port, ...(host === '' ? {} : { host }), exclusive: true }, () => {
      server.off('error', fail);
      const bound = server.address();
      resolve(
        typeof bound === 'object' && bound !== null ? printHostPort(bound.address, bound.port) : listen,
      );
    });
  });
}

export function createProxy(ground: Ground, initial: ProxySettings): LinkProxy {
  const settings = { ...initial };
  const connections = new Set<Connection>();
  const totals = { upstream: freshTotals(), downstream: freshTotals() };
  const births = new Map<string, number>();
  let toxics: Toxic[] = [];
  let server: Server | null = null;
  let accepted = 0;
  let dialFailures = 0;
  /** Starts and stops run one after another. */
  let turn: Promise<unknown> = Promise.resolve();

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  };

  const accept = (client: Socket): void => {
    accepted += 1;
    let connection: Connection | null = null;
    connection = openConnection({
      ground,
      client,
      proxyName: settings.name,
      serial: accepted,
      upstream: parseUpstream(settings.upstream),
      totals,
      toxics,
      onDialFailed: () => {
        dialFailures += 1;
      },
      onClosed: () => {
        if (connection !== null) connections.delete(connection);
      },
    });
    connections.add(connection);
  };

  const start = async (): Promise<void> => {
    if (server !== null) return;
    const opening = createServer({ allowHalfOpen: true, noDelay: true }, accept);
    try {
      settings.listen = await bind(opening, settings.listen);
    } catch (error) {
      if (error instanceof AddressError) throw new ListenError(`listen tcp: ${error.message}`);
      throw error;
    }
    opening.on('error', () => {});
    server = opening;
  };

  const stop = async (): Promise<void> => {
    const closing = server;
    server = null;
    if (closing === null) return;
    const closed = new Promise<void>((resolve) => closing.close(() => resolve()));
    for (const connection of connections) connection.destroy();
    await closed;
  };

  const rearrange = (): void => {
    for (const connection of connections) connection.arrange(toxics);
  };

  return {
    settings,
    totals,
    enabled: () => server !== null,
    toxics: () => toxics,
    accepted: () => accepted,
    dialFailures: () => dialFailures,
    open: () => connections.size,
    heldBytes() {
      let held = 0;
      for (const connection of connections) held += connection.heldBytes();
      return held;
    },
    start: () => inTurn(start),
    stop: () => inTurn(stop),
    move: (to) =>
      inTurn(async () => {
        await stop();
        settings.listen = to.listen;
        settings.upstream = to.upstream;
        if (to.enabled) await start();
      }),
    addToxic(fresh) {
      const born = (births.get(fresh.name) ?? 0) + 1;
      births.set(fresh.name, born);
      const toxic: Toxic = { ...fresh, born };
      const same = (direction: Direction) => toxics.filter((known) => known.direction === direction);
      toxics =
        fresh.direction === 'upstream'
          ? [...same('upstream'), toxic, ...same('downstream')]
          : [...toxics, toxic];
      rearrange();
      return toxic;
    },
    updateToxic(toxic, attributes, toxicity) {
      toxic.attributes = attributes;
      const rolled = toxic.toxicity !== toxicity;
      toxic.toxicity = toxicity;
      for (const connection of connections) connection.update(toxic);
      if (rolled) rearrange();
    },
    removeToxics(gone) {
      toxics = toxics.filter((toxic) => !gone.includes(toxic));
      rearrange();
    },
  };
}

/** What cannot be read as an address is dialled all the same and fails there, like an upstream that is down. */
function parseUpstream(text: string): { host: string; port: number } {
  try {
    const { host, port } = parseHostPort(text);
    return { host: host === '' ? 'localhost' : host, port };
  } catch {
    return { host: '0.0.0.0.invalid', port: 9 };
  }
}
