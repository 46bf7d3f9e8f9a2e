/** What the watchdog runs, against an engine that does not answer yet. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const program = fileURLToPath(new URL('../clean-up.ts', import.meta.url));

describe('docker: the clean-up after a harness that was killed', () => {
  it('waits for an engine that is being started anew', async () => {
    let containers = ['c1'];
    const asked: string[] = [];
    const server = createServer((request, response) => {
      const path = request.url!.replace(/\?.*/, '');
      asked.push(`${request.method} ${path}`);
      response.setHeader('content-type', 'application/json');
      if (path === '/version') response.end('{"ApiVersion":"1.41","Version":"20.10","Os":"linux"}');
      else if (path === '/containers/json') response.end(JSON.stringify(containers.map((Id) => ({ Id }))));
      else if (path === '/volumes') response.end('{"Volumes":[]}');
      else if (request.method === 'GET') response.end('[]');
      else {
        containers = [];
        response.statusCode = 204;
        response.end();
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    const cleanUp = spawn(process.execPath, ['--import', 'tsx', program, '1-1-1'], {
      stdio: 'ignore',
      env: { ...process.env, DOCKER_HOST: `tcp://127.0.0.1:${port}` },
    });
    const ended = once(cleanUp, 'exit');
    // By then it has asked in vain.
    await Promise.race([delay(3_000), ended]);
    server.listen(port, '127.0.0.1');
    await ended;
    server.close();
    expect(asked).to.include('DELETE /containers/c1');
  }).timeout(40_000);
});
