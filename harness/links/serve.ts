/**
 * The fault server as a command: `node --import tsx harness/links/serve.ts [--host H] [--port N] [--seed N]`. Flags as
 * Toxiproxy's server has them. Prints one JSON line with its URL and runs until SIGINT or SIGTERM.
 */

import { parseArgs } from 'node:util';
import { UsageError } from '../usage-error.ts';
import { startFaultServer } from './fault-server.ts';

function wholeNumber(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= most) return value;
  throw new UsageError(`--${flag} ${text}: must be a whole number from 0 to ${most}`);
}

function readFlags(): { host: string; port: number; seed: number } {
  try {
    const { values } = parseArgs({
      options: {
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '8474' },
        seed: { type: 'string', default: '1' },
      },
    });
    return {
      host: values.host,
      port: wholeNumber('port', values.port, 65_535),
      seed: wholeNumber('seed', values.seed, Number.MAX_SAFE_INTEGER),
    };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${(error as Error).message.split('\n')[0]} Allowed: --host, --port, --seed.`);
  }
}

async function serve(): Promise<void> {
  const flags = readFlags();
  const server = await startFaultServer(flags).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot listen on ${flags.host}:${flags.port}: ${error.code ?? error.message}`);
  });
  process.stdout.write(`${JSON.stringify({ url: server.url, seed: flags.seed })}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void server.close().then(() => process.exit(0)));
  }
}

serve().catch((error: unknown) => {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
});
