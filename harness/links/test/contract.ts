/**
 * The contract's stage: each of the two servers with one proxy to an echo, made anew for every case. Knows no case of the contract.
 */

import { lacks } from '../../test/prerequisite.ts';
import { createToxiproxyClient, type ToxicSettings, type ToxiproxyClient } from '../toxiproxy-client.ts';
import {
  contestants,
  installer,
  type Listener,
  listenEcho,
  Missing,
  type ServerUnderTest,
} from './servers.ts';

type Stream = 'upstream' | 'downstream';

interface Reply {
  status: number;
  text: string;
  type: string;
}

/** Set before the first case; `address` is that of the proxy `p`, before each one. */
export interface Stage {
  server: ServerUnderTest;
  client: ToxiproxyClient;
  echo: Listener;
  address: string;
  call(method: string, path: string, body?: string): Promise<Reply>;
  /** Puts a toxic of this type on the proxy `p`. */
  toxic(
    type: string,
    attributes: Record<string, number>,
    stream?: Stream,
    more?: Partial<ToxicSettings>,
  ): ReturnType<ToxiproxyClient['addToxic']>;
}

/** The same cases for both servers. They may read from the stage only while they run. */
export function contract(what: string, cases: (stage: Stage) => void): void {
  for (const contestant of contestants) {
    describe(`fault server contract: ${contestant.name}`, function () {
      this.timeout(30_000);
      const stage = {
        async call(method, path, body) {
          const response = await fetch(
            `${stage.server.url}${path}`,
            body === undefined ? { method } : { method, body },
          );
          return {
            status: response.status,
            text: await response.text(),
            type: response.headers.get('content-type') ?? '',
          };
        },
        toxic: (type, attributes, stream = 'downstream', more = {}) =>
          stage.client.addToxic('p', { name: `${type}_${stream}`, type, stream, attributes, ...more }),
      } as Stage;

      before(async function () {
        this.timeout(320_000);
        try {
          stage.server = await contestant.start();
        } catch (error) {
          if (!(error instanceof Missing)) throw error;
          lacks(this, error.message, installer);
        }
        stage.client = createToxiproxyClient(stage.server.url);
        stage.echo = await listenEcho();
      });
      after(async () => {
        stage.client?.close();
        await stage.server?.stop();
        await stage.echo?.close();
      });
      beforeEach(async () => {
        const proxy = { name: 'p', listen: '127.0.0.1:0', upstream: stage.echo.address };
        stage.address = (await stage.client.create(proxy)).listen;
      });
      afterEach(async () => {
        for (const name of Object.keys(await stage.client.proxies())) await stage.client.remove(name);
      });

      describe(what, () => cases(stage));
    });
  }
}
