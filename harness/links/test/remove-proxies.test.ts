/** Tidying up on a Toxiproxy that is not ours, with servers that answer, refuse, stay silent or are gone. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { openFaultPlane } from '../plane.ts';
import { removeProxies } from '../remove-proxies.ts';
import { createToxiproxyClient } from '../toxiproxy-client.ts';
import { listen } from './servers.ts';

/** Holds proxies by name and writes down what is asked of it; `refuses` are not deleted, `silentAt` gets no answer. */
async function apiWith(names: string[], refuses: string[] = [], silentAt: string | null = null) {
  const held = new Set(names);
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    const name = decodeURIComponent(request.url!.split('/')[2] ?? '');
    const what = `${request.method} ${name}`;
    asked.push(what);
    if (what === silentAt) return;
    if (request.url === '/version') response.end('{"version":"2.12.0"}');
    else if (name === '') response.end(JSON.stringify(Object.fromEntries([...held].map((one) => [one, {}]))));
    else if (request.method === 'DELETE' && refuses.includes(name)) {
      response.statusCode = 500;
      response.end('{"error":"no time today"}');
    } else {
      if (request.method === 'DELETE') held.delete(name);
      response.end('{}');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url, held, asked, close };
}

describe('proxies on somebody else’s server', () => {
  const ours = ['1.a>b', '1.b>a', '1.a>c'];

  it('are all switched off before the first is deleted, and those of others stay', async () => {
    const api = await apiWith([...ours, '2.a>b']);
    const removal = await removeProxies(createToxiproxyClient(api.url), (name) => name.startsWith('1.'));
    expect(removal).to.deep.equal({ removed: 3, left: 0, because: null });
    expect([...api.held]).to.deep.equal(['2.a>b']);
    const verbs = api.asked.map((what) => what.split(' ')[0]);
    expect(verbs).to.deep.equal(['GET', 'POST', 'POST', 'POST', 'DELETE', 'DELETE', 'DELETE']);
    await api.close();
  });

  it('go although one of them cannot be had, and that one is told', async () => {
    const api = await apiWith(ours, ['1.a>b']);
    const removal = await removeProxies(createToxiproxyClient(api.url), () => true);
    expect(removal).to.include({ removed: 2, left: 1 });
    expect(removal.because).to.match(/no time today/);
    expect([...api.held]).to.deep.equal(['1.a>b']);
    await api.close();
  });

  it('may all be there on a server that takes connections and does not answer', async () => {
    const api = await apiWith(ours, [], 'GET ');
    const removal = await removeProxies(createToxiproxyClient(api.url, { timeoutMs: 300 }), () => true);
    expect(removal.removed).to.equal(0);
    expect(removal.because).to.match(/no answer within 300 ms/);
    await api.close();
  });

  it('are gone with a server to which nobody can connect', async () => {
    const api = await apiWith(ours);
    await api.close();
    expect(await removeProxies(createToxiproxyClient(api.url), () => true)).to.deep.equal({
      removed: 0,
      left: 0,
      because: null,
    });
  });

  describe('of a plane that is closed', () => {
    const opened = async (url: string, told: string[]) => {
      const upstream = await listen(() => {});
      await upstream.close();
      return openFaultPlane({
        pairs: [{ from: 'a', to: 'b', listen: upstream.address, upstream: upstream.address }],
        baseLatency: { latencyMs: 0, jitterMs: 0 },
        server: {
          url,
          remember: () => {
            told.push('made');
            return () => void told.push('gone');
          },
        },
        seed: 1,
        namePrefix: '1.',
      });
    };
    /** What `opened` needs beyond `apiWith`: a server that makes what it is asked for. */
    const populating = async (refuses: string[] = []) => {
      const api = await apiWith(['1.a>b'], refuses);
      const front = createServer((request, response) => {
        if (request.url === '/populate') {
          response.end('{"proxies":[{}]}');
          return;
        }
        void fetch(`${api.url}${request.url}`, { method: request.method! }).then(async (answer) => {
          response.statusCode = answer.status;
          response.end(await answer.text());
        });
      });
      await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
      const close = async (): Promise<void> => {
        front.close();
        front.closeAllConnections();
        await api.close();
      };
      return { url: `http://127.0.0.1:${(front.address() as AddressInfo).port}`, close };
    };

    it('are forgotten when they are gone', async () => {
      const api = await populating();
      const told: string[] = [];
      await (await opened(api.url, told)).close();
      expect(told).to.deep.equal(['made', 'gone']);
      await api.close();
    });

    it('are no failure where the server died during the run', async () => {
      const api = await populating();
      const told: string[] = [];
      const plane = await opened(api.url, told);
      await api.close();
      await plane.close();
      expect(told).to.deep.equal(['made', 'gone']);
    });

    it('stay remembered where one of them could not be had', async () => {
      const api = await populating(['1.a>b']);
      const told: string[] = [];
      const plane = await opened(api.url, told);
      const outcome = await plane.close().catch((error: Error) => error.message);
      expect(outcome).to.match(/^1 of this run's proxies may still be on http.*no time today/);
      expect(told).to.deep.equal(['made']);
      await api.close();
    });
  });
});
