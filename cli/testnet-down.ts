/** `npm run testnet -- down`: removes everything that dead runs of this tool left on the host, and only that. */

import { sweepEngines } from '../harness/engines/index.ts';
import { sweep } from '../harness/sweep.ts';

/** Prints a line per run; 0, also when there was nothing. */
export async function down(print: (line: string) => void): Promise<number> {
  const { removed, alive, kept } = await sweep();
  for (const { id, processes, proxies } of removed) {
    const more = [
      processes === 0 ? '' : `, ended ${processes} process${processes === 1 ? '' : 'es'}`,
      proxies === 0 ? '' : `, deleted ${proxies} proxies`,
    ];
    print(`removed run ${id}${more.join('')}`);
  }
  const engines = await sweepEngines(alive.length > 0);
  for (const line of engines) print(line);
  for (const { id, because } of kept)
    print(`not removed: proxies of run ${id}; the next start tries again (${because})`);
  for (const id of alive) print(`left alone: run ${id} is alive`);
  if (removed.length + alive.length + kept.length + engines.length === 0) print('nothing was left behind');
  return 0;
}
