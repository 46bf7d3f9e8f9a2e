/** What tests of the container engine share: is there one, what does it hold of a run, and the reference node as something to start. */

import type Docker from 'dockerode';
import type { Context } from 'mocha';
import { bundleNode } from '../../../../node/bundle.ts';
import type { ReferenceNode } from '../../../engine.ts';
import { lacks } from '../../../test/prerequisite.ts';
import { UsageError } from '../../../usage-error.ts';
import { connectDocker } from '../connect.ts';

/** The engine's client; where no engine answers the test or suite ends (see `lacks`). */
export async function engineOrSkip(test: Context): Promise<Docker> {
  try {
    return (await connectDocker()).docker;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return lacks(test, error.message, 'ci/install-docker.sh');
  }
}

export async function referenceNode(): Promise<ReferenceNode> {
  const bundle = await bundleNode();
  return { command: bundle.command, folder: bundle.dir, addonsFor: bundle.addonsFor };
}

const label = 'cle-testnet.run';

/** Names of all that the engine holds of runs whose id begins so (`<pid>-`). */
export async function heldBy(docker: Docker, beginning: string): Promise<string[]> {
  const filters = { label: [label] };
  const found = [
    ...(await docker.listContainers({ all: true, filters })).map(({ Names, Labels }) => ({
      name: `container ${Names[0]}`,
      run: Labels[label] ?? '',
    })),
    ...(await docker.listNetworks({ filters })).map(({ Name, Labels }) => ({
      name: `network ${Name}`,
      run: Labels?.[label] ?? '',
    })),
    ...((await docker.listVolumes({ filters })).Volumes ?? []).map(({ Name, Labels }) => ({
      name: `volume ${Name}`,
      run: Labels?.[label] ?? '',
    })),
  ];
  return found.filter(({ run }) => run.startsWith(beginning)).map(({ name }) => name);
}
