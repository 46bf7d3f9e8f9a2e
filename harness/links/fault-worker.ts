/** The thread behind `fault-thread.ts`: starts the server it is told to, says its URL, and ends when asked. */

import { parentPort, workerData } from 'node:worker_threads';
import { type FaultServerOptions, startFaultServer } from './fault-server.ts';

async function serve(): Promise<void> {
  const server = await startFaultServer(workerData as FaultServerOptions);
  parentPort!.once('message', () => {
    void server.close().then(() => parentPort!.close());
  });
  parentPort!.postMessage(server.url);
}

void serve();
