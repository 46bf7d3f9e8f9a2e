/**
 * One node as one operating-system process: started with `CLE_CONFIG`, any command will do. It knows nothing of plans, links or
 * other nodes; the process engine makes a net of instances, and the conformance suite uses them singly.
 */

import { writeFileSync } from 'node:fs';
import type { SecureContext } from 'node:tls';
import type { Run } from '../../run-record.ts';
import { type Instance, type InstanceHooks, type InstanceSpec, instanceOf, lifeSpecOf } from '../instance.ts';
import { plannedLife } from '../life.ts';
import { writeNodeFolder } from '../node-files.ts';
import type { NodeCommand } from './launch.ts';
import { end, freeze, type ProcessLife, start } from './life.ts';

export interface ProcessSpec extends InstanceSpec {
  command: NodeCommand;
  /** Replaces the text of the configuration, for tests of bad ones. */
  configText?: string;
  /** Start it even where another process listens on its address (its probes would reach that one). */
  addressMayBeInUse?: boolean;
  /** How far its process steps back where processors are scarce, 0 (default) to 19. */
  niceness?: number;
}

const endWithinMs = 10_000;

/**
 * Prepares folder and files of an instance of `run`; starts nothing. `context` is the TLS identity of the probes.
 * Throws UsageError where the folder cannot be written.
 */
export function prepareInstance(
  run: Run,
  spec: ProcessSpec,
  context: SecureContext,
  hooks: InstanceHooks = {},
): Instance {
  const common = lifeSpecOf(run.folder, spec, context, hooks, (folder) => {
    const written = writeNodeFolder(folder, spec);
    if (spec.configText !== undefined) writeFileSync(written.configFile, spec.configText);
    return written;
  });
  const life: ProcessLife = {
    ...plannedLife(common),
    run,
    command: spec.command,
    addressMayBeInUse: spec.addressMayBeInUse ?? false,
    niceness: spec.niceness ?? 0,
    child: null,
  };
  return instanceOf(life, {
    pid: () => life.child?.pid ?? null,
    start: () => start(life),
    end: (signal, withinMs) => end(life, signal, withinMs),
    freeze: (frozen) => freeze(life, frozen),
    discard: async () => life.running && end(life, 'SIGKILL', endWithinMs),
  });
}
