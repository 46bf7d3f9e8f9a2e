/**
 * Manifest + seed → `Plan`. Pure: equal arguments give byte-identical plans on every machine. Owns names, keys, groups and who is
 * late; what becomes of faults is `resolve-faults.ts`. Knows no engine, no address, no clock.
 */

import type { ManifestFile } from './manifest.ts';
import type { Manifest, ManifestGroup } from './manifest-schema.ts';
import type { Plan, PlannedNode } from './plan.ts';
import { resolveFaults } from './resolve-faults.ts';
import { seededBytes } from './rng.ts';
import { UsageError } from './usage-error.ts';
import { identityFrom } from './wire/identity.ts';

/** What the command line changes about a scenario. */
export interface ResolveOptions {
  seed: number;
  /** In place of `nodes.count`. */
  nodes?: number;
  /** Runs in place of every reference node, with `mixed` of every second one. */
  command?: string;
  image?: string;
  mixed?: boolean;
}

/** Throws UsageError naming file, line and key where the file asks for something that cannot be. */
export function resolve(file: ManifestFile, options: ResolveOptions): Plan {
  const manifest = file.manifest;
  if (!Number.isSafeInteger(options.seed) || options.seed < 0) {
    throw new UsageError(`--seed: ${options.seed} is no integer from 0`);
  }
  const count = options.nodes ?? manifest.nodes.count;
  if (!Number.isSafeInteger(count) || count < 2 || count > 1000) {
    throw new UsageError(`--nodes: ${count} is not allowed; allowed: 2 to 1000`);
  }
  const bootstrap = bootstrapCount(file, count, options.nodes !== undefined);
  const startAt = lateStarts(file, count, bootstrap);
  const groupOf = assignGroups(file, count);
  const bootstrapNames = Array.from({ length: bootstrap }, (_, index) => `node-${index + 1}`);
  const nodes = Array.from({ length: count }, (_, index) =>
    planNode(manifest, options, index, bootstrapNames, groupOf[index] ?? null, startAt[index] ?? 0),
  );
  const durationMs = Math.round(manifest.duration_s * 1000);
  return {
    scenario: manifest.name,
    seed: options.seed,
    nodes,
    linkLatency: { latencyMs: manifest.links.latency_ms, jitterMs: manifest.links.jitter_ms },
    load: {
      commitsPerSecond: manifest.load.commits_per_second,
      payloadBytes: manifest.load.payload_bytes,
    },
    faults: resolveFaults(file, options.seed, nodes, durationMs),
    expectations: {
      discoveryMs: manifest.expect.discovery_ms,
      convergenceMs: manifest.expect.convergence_ms,
      syncMs: manifest.expect.sync_ms,
      messageLatencyP95Ms: manifest.expect.message_latency_p95_ms,
      maxPeers: manifest.expect.max_peers,
    },
    durationMs,
    settleMs: Math.round(manifest.settle_s * 1000),
  };
}

function bootstrapCount(file: ManifestFile, count: number, overridden: boolean): number {
  const wanted = file.manifest.nodes.bootstrap;
  if (wanted < count) return wanted;
  if (overridden) return Math.max(1, count - 1);
  throw file.complain(
    ['nodes', 'bootstrap'],
    `nodes.bootstrap: ${wanted} of ${count} nodes; allowed: 1 to ${count - 1}, so that somebody is left to discover`,
  );
}

/** Start instants by node index; late joiners are the last nodes. */
function lateStarts(file: ManifestFile, count: number, bootstrap: number): number[] {
  const starts = new Array<number>(count).fill(0);
  let next = count - 1;
  file.manifest.late_joiners.forEach((late, at) => {
    if (late.at_s >= file.manifest.duration_s) {
      throw file.complain(
        ['late_joiners', at, 'at_s'],
        `late_joiners[${at}].at_s: ${late.at_s} is not before the end of the load (duration_s ${file.manifest.duration_s})`,
      );
    }
    for (let i = 0; i < late.count; i += 1, next -= 1) {
      if (next < Math.max(bootstrap, 2)) {
        throw file.complain(
          ['late_joiners', at, 'count'],
          `late_joiners[${at}].count: too few of ${count} nodes are left; at least 2, and all bootstrap nodes, start at once`,
        );
      }
      // 0 means "with the others", so a joiner at the very start of the load comes 1 ms into it.
      starts[next] = Math.max(1, Math.round(late.at_s * 1000));
    }
  });
  return starts;
}

/** Group by node index: named nodes first, then counts from the end of the list. */
function assignGroups(file: ManifestFile, count: number): (ManifestGroup | null)[] {
  const groupOf = new Array<ManifestGroup | null>(count).fill(null);
  const reserved = ['all', 'bootstrap', 'others', 'random', 'reference'];
  file.manifest.nodes.groups.forEach((group, at) => {
    const path = ['nodes', 'groups', at] as const;
    const clash = file.manifest.nodes.groups.findIndex((other) => other.name === group.name) !== at;
    if (clash || reserved.includes(group.name) || /^node-\d+$/.test(group.name)) {
      throw file.complain([...path, 'name'], `nodes.groups[${at}].name: "${group.name}" is already taken`);
    }
    if ((group.count === undefined) === (group.nodes === undefined)) {
      throw file.complain(path, `nodes.groups[${at}] needs either "count" or "nodes"`);
    }
    for (const name of group.nodes ?? []) {
      const index = Number(name.slice(5)) - 1;
      if (index >= count) {
        throw file.complain([...path, 'nodes'], `nodes.groups[${at}].nodes: no ${name} among ${count} nodes`);
      }
      if (groupOf[index] !== null) {
        throw file.complain([...path, 'nodes'], `nodes.groups[${at}].nodes: ${name} is in two groups`);
      }
      groupOf[index] = group;
    }
  });
  file.manifest.nodes.groups.forEach((group, at) => {
    let left = group.count ?? 0;
    for (let index = count - 1; index >= 0 && left > 0; index -= 1) {
      if (groupOf[index] !== null) continue;
      groupOf[index] = group;
      left -= 1;
    }
    if (left > 0) {
      throw file.complain(
        ['nodes', 'groups', at, 'count'],
        `nodes.groups[${at}].count: ${group.count} does not fit, ${count} nodes in all`,
      );
    }
  });
  return groupOf;
}

function planNode(
  manifest: Manifest,
  options: ResolveOptions,
  index: number,
  bootstrapNames: string[],
  group: ManifestGroup | null,
  startAtMs: number,
): PlannedNode {
  const name = `node-${index + 1}`;
  const identity = plannedIdentity(options.seed, name);
  // With --mixed every second node, beginning with node-2: node-1 stays a reference node that others can find.
  const replaced = options.mixed !== true || index % 2 === 1;
  const command = group?.command ?? (replaced ? (options.command ?? null) : null);
  const image = group?.image ?? (replaced ? (options.image ?? null) : null);
  const stranger = options.command ?? options.image;
  const groupName = group?.name ?? (replaced && stranger !== undefined ? 'foreign' : 'reference');
  return {
    name,
    index,
    agentId: `agent_${name}`,
    ...identity,
    bootstrap: bootstrapNames.includes(name),
    bootstrapNames,
    group: groupName,
    command,
    image,
    startAtMs,
    startAfterMs: startAtMs > 0 ? 0 : index * manifest.nodes.start_interval_ms,
    parameters: sorted({ ...manifest.nodes.parameters, ...group?.parameters }),
  };
}

const sorted = (record: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Node key, its public half and the node id (profile §1), all from seed and name. */
export function plannedIdentity(
  seed: number,
  name: string,
): Pick<PlannedNode, 'keyPem' | 'publicKeyBase64' | 'nodeId'> {
  const { keyPem, publicKeyBase64, nodeId } = identityFrom(seededBytes(seed, 32, 'node key', name));
  return { keyPem, publicKeyBase64, nodeId };
}
