/**
 * The overlay that the nodes built by themselves: who is connected to whom, from the fault plane's counters of open connections,
 * so that no node's own word is needed; and whether anybody went around the fault plane.
 */

import { type History, livesAtEnd } from '../history.ts';
import type { Finding } from '../verdict.ts';
import { finding, listed, ownTrouble, unless } from './finding.ts';

/** A pair counts as connected if it was in each of so many samples in a row: short-lived connections come and go. */
const samplesNeeded = 3;

/** Later than this before the end, the last sample says nothing of the end. */
const freshMs = 20_000;

/** Why the samples are no ground for a judgement of the end, or null. */
function tooOld(history: History): string | null {
  const last = history.linkSamples.at(-1);
  if (last === undefined) return 'The links were never looked at.';
  const age = history.endedAt - last.at;
  return age <= freshMs ? null : `The links were last looked at ${Math.round(age / 1000)} s before the end.`;
}

const noCounters = 'The server of the links does not count open connections.';

/** Undirected edges at the end between nodes that live; null where nobody counts. */
export function overlayAtEnd(history: History): [string, string][] | null {
  const live = new Set(livesAtEnd(history).map(({ node }) => node));
  const last = history.linkSamples.slice(-samplesNeeded);
  if (last.length === 0 || last.some(({ links }) => links.some(({ open }) => open === null))) return null;
  const times = new Map<string, number>();
  for (const { links } of last) {
    const now = new Set<string>();
    for (const { from, to, open } of links) {
      if ((open ?? 0) === 0 || !live.has(from) || !live.has(to)) continue;
      now.add([from, to].sort().join(' '));
    }
    for (const key of now) times.set(key, (times.get(key) ?? 0) + 1);
  }
  return [...times]
    .filter(([, count]) => count === last.length)
    .map(([key]) => key.split(' ') as [string, string])
    .sort();
}

function neighbours(nodes: readonly string[], edges: readonly [string, string][]): Map<string, Set<string>> {
  const map = new Map(nodes.map((node) => [node, new Set<string>()]));
  for (const [a, b] of edges) {
    map.get(a)?.add(b);
    map.get(b)?.add(a);
  }
  return map;
}

/** The nodes that a walk from the first of them does not reach; `without` is taken out. */
export function unreachable(
  nodes: readonly string[],
  edges: readonly [string, string][],
  without: string | null = null,
): string[] {
  const map = neighbours(nodes, edges);
  const rest = nodes.filter((node) => node !== without);
  const reached = new Set<string>(rest.slice(0, 1));
  for (const node of reached) {
    for (const next of map.get(node) ?? []) if (next !== without) reached.add(next);
  }
  return rest.filter((node) => !reached.has(node));
}

/** A link on which a fault of ours stayed in force may be why the net is in parts. */
export function overlayConnected(history: History): Finding {
  return unless(ownTrouble(history), connectedAtEnd(history));
}

/** §2.1: "Network remains connected through multiple paths": also without any one node. */
function connectedAtEnd(history: History): Finding {
  const [id, proves] = ['overlay.connected', ['TOP-05']];
  const edges = overlayAtEnd(history);
  const nodes = livesAtEnd(history).map(({ node }) => node);
  const old = tooOld(history);
  if (old !== null) return finding(id, proves, 'unknown', old);
  if (edges === null) return finding(id, proves, 'skipped', noCounters);
  const planned = history.plan.nodes.length;
  const ofAll = nodes.length === planned ? '' : ` of ${planned}`;
  const degrees = neighbours(nodes, edges);
  const alone = nodes.filter((node) => degrees.get(node)?.size === 0);
  if (alone.length > 0 && nodes.length > 1) {
    return finding(id, proves, 'fail', `${listed(history, alone)} had no peer at the end.`, alone, alone);
  }
  if (history.plan.nodes.length < 3)
    return finding(id, proves, 'skipped', 'A net of two nodes has no second path.');
  if (nodes.length < 3) return finding(id, proves, 'unknown', `Only ${nodes.length} nodes live at the end.`);
  const cut = unreachable(nodes, edges);
  if (cut.length > 0) {
    const small = cut.length * 2 <= nodes.length ? cut : nodes.filter((node) => !cut.includes(node));
    return finding(
      id,
      proves,
      'fail',
      `The overlay is in parts: ${listed(history, small)} apart from the others.`,
      small,
      small,
    );
  }
  for (const node of nodes) {
    const lost = unreachable(nodes, edges, node);
    if (lost.length === 0 || nodes.length < 4) continue;
    const small =
      lost.length * 2 <= nodes.length
        ? lost
        : nodes.filter((other) => other !== node && !lost.includes(other));
    return finding(
      id,
      proves,
      'fail',
      `Without ${node} the overlay falls apart: ${listed(history, small)} hang on it alone.`,
      small,
      small,
    );
  }
  return finding(
    id,
    proves,
    'pass',
    `${nodes.length}${ofAll} nodes, with ${edges.length} connections, are one net, also without any one of them.`,
  );
}

const defaultTargetPeers = 10;

/** §2.1: "Each node maintains connections to ~10 peers": 8 or more where there are as many, at most `max_peers`. */
export function overlayDegree(history: History): Finding {
  const [id, proves] = ['overlay.degree', ['TOP-01']];
  const edges = overlayAtEnd(history);
  const nodes = livesAtEnd(history).map(({ node }) => node);
  const old = tooOld(history);
  if (old !== null) return finding(id, proves, 'unknown', old);
  if (edges === null) return finding(id, proves, 'skipped', noCounters);
  if (nodes.length === 0) return finding(id, proves, 'unknown', 'No node lives at the end.');
  const map = neighbours(nodes, edges);
  const degrees = nodes.map((node) => {
    const target =
      history.plan.nodes.find(({ name }) => name === node)?.parameters.target_peers ?? defaultTargetPeers;
    return { node, degree: map.get(node)!.size, least: Math.max(1, Math.min(target, nodes.length - 1) - 2) };
  });
  const low = degrees.filter(({ degree, least }) => degree < least);
  const high = degrees.filter(({ degree }) => degree > history.plan.expectations.maxPeers);
  const span = `${Math.min(...degrees.map((d) => d.degree))} to ${Math.max(...degrees.map((d) => d.degree))}`;
  if (high.length > 0) {
    const names = high.map(({ node }) => node);
    return finding(
      id,
      proves,
      'fail',
      `${listed(history, names)} had more than ${history.plan.expectations.maxPeers} peers (${span} over all).`,
      high,
      names,
    );
  }
  if (low.length > 0) {
    const names = low.map(({ node }) => node);
    const because = `${listed(history, names)} had fewer peers than ${low[0]!.least} (${span} over all ${nodes.length} nodes).`;
    // TOP-01 is a SHOULD: too few peers alone fail no run, being cut off does.
    return finding(id, proves, 'warn', because, low, names);
  }
  return finding(id, proves, 'pass', `The ${nodes.length} nodes had ${span} peers at the end.`);
}

/** Whom a node names it has shaken hands with; if no connection of theirs went through their proxies, it went around. */
export function bypass(history: History): Finding {
  const id = 'links.bypass';
  const audit = history.linkAudit;
  const missing = audit === undefined ? 0 : audit.sentBytes - audit.arrivedBytes;
  if (audit !== undefined && missing > audit.slackBytes) {
    const because = `${missing} of ${audit.sentBytes} bytes that the nodes sent arrived neither at the fault plane nor at us: they went around it.`;
    return finding(id, [], 'fail', because, [audit]);
  }
  const counted =
    audit === undefined
      ? ''
      : ` Of the ${audit.sentBytes} bytes that the nodes sent, all arrived at the fault plane or at us.`;
  const last = history.linkSamples.at(-1);
  if (last === undefined || history.peerLists.length === 0) {
    return finding(id, [], 'unknown', `Links and peers were never looked at.${counted}`);
  }
  const old = tooOld(history);
  if (old !== null) return finding(id, [], 'unknown', `${old}${counted}`);
  if (last.links.some(({ accepted }) => accepted === null)) {
    const because = 'The server of the links does not count connections.';
    return audit === undefined
      ? finding(id, [], 'skipped', because)
      : finding(id, [], 'pass', `${because}${counted}`);
  }
  const used = new Set(
    last.links
      .filter(({ accepted }) => (accepted ?? 0) > 0)
      .map(({ from, to }) => [from, to].sort().join(' ')),
  );
  const names = new Set(history.plan.nodes.map(({ name }) => name));
  const named = new Set<string>();
  const around: string[] = [];
  for (const { node, peers, at } of history.peerLists) {
    // Who met only after the counters were read last is not in them yet.
    if (at > last.at) continue;
    for (const peer of peers) {
      if (!names.has(peer) || peer === node) continue;
      const key = [node, peer].sort().join(' ');
      if (named.has(key)) continue;
      named.add(key);
      if (!used.has(key)) around.push(`${node} and ${peer}`);
    }
  }
  if (around.length > 0) {
    const because = `${around.length} pairs know each other though no connection of theirs went through the fault plane; first: ${around[0]}.`;
    return finding(
      id,
      [],
      'fail',
      because,
      around,
      around.flatMap((pair) => pair.split(' and ')),
    );
  }
  if (named.size === 0 && audit === undefined)
    return finding(id, [], 'unknown', 'No node named another one as its peer.');
  return finding(
    id,
    [],
    'pass',
    `All ${named.size} pairs that know each other met through the fault plane.${counted}`,
  );
}
