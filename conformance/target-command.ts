/**
 * The target that is a command: its instances are processes of this host, on loopback addresses that the run has claimed.
 */

import { claimAddresses } from '../harness/engines/process/addresses.ts';
import { prepareInstance } from '../harness/engines/process/instance.ts';
import type { NodeCommand } from '../harness/engines/process/launch.ts';
import { openRun } from '../harness/run-record.ts';
import type { Target } from './target.ts';
import { type InstancesTarget, openInstancesTarget } from './target-instances.ts';

/**
 * Where processors are scarce the nodes step back behind the tester: a judge that is late sees late answers. It costs a node
 * nothing where there is room.
 */
const niceness = 4;

export interface CommandTarget extends InstancesTarget {
  command: NodeCommand;
}

/** Throws UsageError where the command cannot work. */
export async function openCommandTarget(options: CommandTarget): Promise<Target> {
  const run = openRun('conformance');
  const addresses = await claimAddresses().catch(async (error: Error) => {
    await run.close();
    throw error;
  });
  const { command } = options;
  return openInstancesTarget(options, {
    run,
    nodeAddress: () => addresses.next(),
    puppetAddress: () => addresses.next(),
    // `localhost` may mean either.
    ways: { name: 'localhost', meaning: ['127.0.0.1', '[::1]'], six: '[::1]' },
    prepare: (spec, context, hooks) => prepareInstance(run, { niceness, ...spec, command }, context, hooks),
    release: () => addresses.release(),
  });
}
