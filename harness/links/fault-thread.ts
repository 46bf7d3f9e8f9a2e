/**
 * The embedded fault server on a thread of its own, so that a busy harness does not delay the links and the links do not
 * delay the harness's clocks. `fault-worker.ts` is the other side.
 */

import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import type { FaultServerOptions } from './fault-server.ts';

export interface FaultThread {
  readonly url: string;
  /** Closes every listener and connection, and the thread. Idempotent. */
  close(): Promise<void>;
}

/**
 * Threads do not inherit a TypeScript loader, and installing one costs them 0.4 s. Bundled, the server starts in a tenth of
 * that, and nothing is written to disk.
 */
async function bundle(entry: string): Promise<string> {
  const result = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    logLevel: 'silent',
  });
  return result.outputFiles[0]!.text;
}

/** Starts the thread and the server in it. An error in the thread later on is our own bug and ends the process. */
export async function startFaultThread(options: FaultServerOptions): Promise<FaultThread> {
  const worker = new Worker(await bundle('./fault-worker.ts'), { eval: true, workerData: options });
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (text: string) => {
      worker.off('error', reject);
      resolve(text);
    });
  });
  return {
    url,
    close() {
      worker.postMessage('close');
      return ended;
    },
  };
}
