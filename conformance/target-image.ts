/**
 * The target that is an image: its instances are containers in a network of the run's own, which reach this host and nothing
 * else. Everything carries the run's label; a watchdog removes it if the harness is killed, and what is left then is swept first.
 */

import { connectDocker } from '../harness/engines/docker/connect.ts';
import { foreignImage } from '../harness/engines/docker/image.ts';
import { runLabels, sweepEngine } from '../harness/engines/docker/leftovers.ts';
import { prepareSingle } from '../harness/engines/docker/single.ts';
import { openSingleNetwork } from '../harness/engines/docker/single-network.ts';
import { removeWatched, watchOverRun } from '../harness/engines/docker/watchdog.ts';
import { openRun } from '../harness/run-record.ts';
import { eachInTurn } from '../harness/side-by-side.ts';
import { UsageError } from '../harness/usage-error.ts';
import type { Target } from './target.ts';
import { type Ground, type InstancesTarget, openInstancesTarget } from './target-instances.ts';

export interface ImageTarget extends InstancesTarget {
  /** As `docker run` takes it; pulled where it is not here. */
  image: string;
}

/** Throws UsageError where there is no engine or no such image, or where it does not come up as a node. */
export async function openImageTarget(options: ImageTarget): Promise<Target> {
  const ground = await containersOf(options.image);
  try {
    return await openInstancesTarget(options, ground);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`image ${options.image}: ${error.message}`);
  }
}

async function containersOf(image: string): Promise<Ground> {
  const engine = await connectDocker();
  const { docker, local } = engine;
  await sweepEngine(engine);
  // Its id, so that a tag that moves meanwhile changes nothing.
  const { id } = await foreignImage(docker, image);
  const run = openRun('conformance');
  const labels = runLabels(run.id);
  const watchdog = watchOverRun(run.id);
  const release = (): Promise<void> => removeWatched(docker, run.id, watchdog);
  try {
    const network = await openSingleNetwork(docker, `cle-${run.id}`, labels);
    const { hostName, hostIp } = network;
    const shared = {
      docker,
      image: id,
      network: network.name,
      names: { [hostName]: hostIp },
      labels,
      folder: run.folder,
      local,
    };
    return {
      run,
      nodeAddress: network.nodeAddress,
      puppetAddress: network.hostAddress,
      // The network has no IPv6.
      ways: { name: hostName, meaning: [hostIp], six: null },
      prepare: (spec, context, hooks) => prepareSingle({ ...shared, context }, spec, hooks),
      release,
    };
  } catch (error) {
    // What would not go must not hide why there is no network.
    await eachInTurn([release, () => run.close()]).catch(() => {});
    throw error;
  }
}
