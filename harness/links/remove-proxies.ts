/**
 * Takes proxies off a Toxiproxy that is not ours and says what could not be taken: for a plane that is closed, and for the sweep after
 * a run that was killed. Knows names and the API, no links and no runs.
 */

import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type ProxyState, type ToxiproxyClient, ToxiproxyError } from './toxiproxy-client.ts';

export interface Removal {
  /** How many went. */
  removed: number;
  /** How many are still there, or may be. */
  left: number;
  /** What the server said of the first of those, or that it says nothing; null: nothing is left. */
  because: string | null;
}

const callsAtOnce = 16;
const connectWithinMs = 2_000;

/**
 * All of them, each also where another one cannot be had. A server that nobody can connect to any more holds nothing, so that is no
 * failure; one that takes connections and does not answer may hold everything.
 */
export async function removeProxies(
  client: ToxiproxyClient,
  isOurs: (name: string) => boolean,
): Promise<Removal> {
  let there: Record<string, ProxyState>;
  try {
    there = await client.proxies();
  } catch (error) {
    // Another program may have taken the port over since.
    if (error instanceof SyntaxError || (error instanceof ToxiproxyError && error.status === 404))
      return nothingLeft(0);
    return silentOr(client, error, { removed: 0, left: 1, because: null });
  }
  const ours = Object.keys(there).filter(isOurs);
  // Switched off first: deleting a proxy that is dialling a black hole freezes the whole API of a real server.
  const off = await forEach(ours, (name) => client.setEnabled(name, false));
  const gone = await forEach(off.done, (name) => client.remove(name));
  const failure = off.failure ?? gone.failure;
  const removal = { removed: gone.done.length, left: ours.length - gone.done.length, because: null };
  return failure === null ? removal : silentOr(client, failure, removal);
}

const nothingLeft = (removed: number): Removal => ({ removed, left: 0, because: null });

/** What a failure leaves: nothing where the server itself is gone. */
async function silentOr(client: ToxiproxyClient, error: unknown, removal: Removal): Promise<Removal> {
  if (!(error instanceof ToxiproxyError)) throw error;
  if (error.status === 0 && !(await takesConnections(client.url))) return nothingLeft(removal.removed);
  return { ...removal, because: error.message };
}

/** Each of them, unless the server stops answering: then it would be waited for as often as there are proxies. */
async function forEach(
  names: readonly string[],
  call: (name: string) => Promise<unknown>,
): Promise<{ done: string[]; failure: ToxiproxyError | null }> {
  const waiting = [...names];
  const done: string[] = [];
  let failure: ToxiproxyError | null = null;
  const lane = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      try {
        await call(name);
        done.push(name);
      } catch (error) {
        if (!(error instanceof ToxiproxyError)) throw error;
        // Somebody else has removed it.
        if (error.status === 404) done.push(name);
        else failure ??= error;
        if (error.status === 0) waiting.length = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: callsAtOnce }, lane));
  return { done, failure };
}

async function takesConnections(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) || 80 });
  try {
    return await Promise.race([
      new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      }),
      delay(connectWithinMs, false, { ref: false }),
    ]);
  } finally {
    socket.destroy();
  }
}
