/**
 * `npm run testnet -- down` on a container engine: what dead runs left, and the images of this tool that nothing uses. Leaves
 * live runs alone, and everything that is not ours.
 */

import { UsageError } from '../../usage-error.ts';
import { type Connected, connectDocker } from './connect.ts';
import { removeOldImages } from './image.ts';
import { sweepEngine } from './leftovers.ts';

/**
 * A line for each thing that went; none where no engine answers. `othersLive`: a run that has just begun may be about to use an image
 * that nothing uses yet, so those of the last minute stay.
 */
export async function sweepEverything(othersLive: boolean): Promise<string[]> {
  let engine: Connected;
  try {
    engine = await connectDocker();
  } catch (error) {
    if (error instanceof UsageError) return [];
    throw error;
  }
  const { runs, kept } = await sweepEngine(engine);
  const lines = runs.map((id) => `removed the containers and the network of run ${id}`);
  for (const name of kept)
    lines.push(
      `kept by the container engine: the network ${name}, in which it counts a container that is gone; it goes when the engine is started anew`,
    );
  for (const kind of ['node', 'toxiproxy'])
    for (const tag of await removeOldImages(engine.docker, kind, othersLive ? '' : null))
      lines.push(`removed the image ${tag}`);
  return lines;
}
