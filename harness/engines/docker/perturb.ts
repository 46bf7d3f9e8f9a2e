/**
 * What a container engine can do to a node beyond stopping it: pull its cable, give it less memory, fill its disk, put another image
 * or another certificate in place. Each proves with the engine's or the kernel's word that it took effect, and can be undone.
 *
 * All but `unplug` find the node stopped and leave it so at their cure: who has it started again wants to see it come up.
 */

import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Receipt } from '../../engine.ts';
import { UsageError } from '../../usage-error.ts';
import type { Authority } from '../../wire/authority.ts';
import { within } from '../life.ts';
import { presentedCertificate } from '../probe.ts';
import { fillDisk } from './disk.ts';
import { endpointOf, type FleetGround, type FleetNode, remakeContainer } from './fleet-node.ts';
import { giveToContainer } from './folder.ts';

export interface Perturbed {
  receipt: Receipt;
  cure(): Promise<Receipt>;
}

export interface PerturbGround extends FleetGround {
  authority: Authority;
  /** Id of the network. */
  networkId: string;
  /** Image name of the reference node, where the plan or an upgrade needs it. */
  referenceImage: string | null;
  /** For the container that keeps a small disk alive. */
  keeperImage: string;
}

export type Perturbation =
  | { ability: 'unplug' }
  | { ability: 'memory-limit'; mib: number }
  | { ability: 'disk-full'; mib: number }
  | { ability: 'upgrade'; image: string | null }
  | { ability: 'certificate'; as: 'replaced' | 'expired' };

/** Less than any runtime needs, so that it shows. */
const defaultLimitMib = 8;
const defaultDiskMib = 16;
const wordWithinMs = 5_000;
/** How long a node under a limit is given to run into it. */
const limitShowsMs = 8_000;

/** Options of a scenario's `engine` fault. UsageError, before anything is started, for what they cannot be. */
export function readPerturbation(
  id: string,
  ability: string,
  options: Record<string, unknown>,
): Perturbation {
  const allowed: Record<string, readonly string[]> = {
    unplug: [],
    'memory-limit': ['mib'],
    'disk-full': ['mib'],
    upgrade: ['image'],
    certificate: ['as'],
  };
  const names = allowed[ability] ?? [];
  const extra = Object.keys(options).find((key) => !names.includes(key));
  const complain = (text: string): UsageError => new UsageError(`fault ${id}: options.${text}`);
  if (extra !== undefined)
    throw complain(`${extra} is unknown; ${ability} takes ${names.join(', ') || 'none'}`);
  const { mib, image, as = 'replaced' } = options;
  if (mib !== undefined && !(typeof mib === 'number' && Number.isInteger(mib) && mib >= 6 && mib <= 65_536))
    throw complain('mib: must be a whole number from 6 to 65536');
  if (image !== undefined && typeof image !== 'string') throw complain('image: must be the name of an image');
  if (as !== 'replaced' && as !== 'expired') throw complain('as: must be replaced or expired');
  switch (ability) {
    case 'memory-limit':
      return { ability, mib: (mib as number | undefined) ?? defaultLimitMib };
    case 'disk-full':
      return { ability, mib: (mib as number | undefined) ?? defaultDiskMib };
    case 'upgrade':
      return { ability, image: (image as string | undefined) ?? null };
    case 'certificate':
      return { ability, as };
    default:
      return { ability: 'unplug' };
  }
}

/** What does not take effect as it should is undone before the word of it goes on. */
export async function perturb(
  ground: PerturbGround,
  node: FleetNode,
  what: Perturbation,
): Promise<Perturbed> {
  const made = { ...node.make };
  try {
    return await bringAbout(ground, node, what);
  } catch (error) {
    await asItWas(ground, node, what, made).catch(() => {});
    throw error;
  }
}

/** Plugged in again, or stopped and made as before; a certificate that expires has been replaced. */
async function asItWas(
  ground: PerturbGround,
  node: FleetNode,
  what: Perturbation,
  made: FleetNode['make'],
): Promise<void> {
  if (what.ability === 'unplug') {
    await plugIn(ground, node);
    return;
  }
  await stopped(node);
  if (what.ability === 'certificate') await putCertificate(ground, node);
  Object.assign(node.make, made);
  await remakeContainer(ground, node);
}

function bringAbout(ground: PerturbGround, node: FleetNode, what: Perturbation): Promise<Perturbed> {
  switch (what.ability) {
    case 'unplug':
      return unplug(ground, node);
    case 'memory-limit':
      return limitMemory(ground, node, what.mib);
    case 'disk-full':
      return fillDisk(ground, node, what.mib, ground.keeperImage);
    case 'upgrade':
      return upgrade(ground, node, what.image ?? ground.referenceImage!);
    case 'certificate':
      return replaceCertificate(ground, node, what.as);
  }
}

const containerOf = ({ life }: FleetNode): string => life.container!.id;

/** Its cable: every address but loopback is gone, and comes back the same. */
async function unplug(ground: PerturbGround, node: FleetNode): Promise<Perturbed> {
  const { docker, networkId, words } = ground;
  const network = docker.getNetwork(networkId);
  const { name } = node.life;
  const said = async (action: 'connect' | 'disconnect', work: () => Promise<unknown>): Promise<Receipt> => {
    const mark = words.mark();
    await work();
    const word = await words.expect(mark, containerOf(node), action, wordWithinMs);
    if (word === null) throw new Error(`the engine never said "${action}" of ${name}`);
    const { NetworkSettings } = await node.life.container!.inspect();
    const addresses = Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress);
    return {
      at: word.at,
      what: `${name} ${action === 'disconnect' ? 'unplugged' : 'plugged in'}`,
      evidence: { engine: words.since(mark, containerOf(node)), addresses },
    };
  };
  const receipt = await said('disconnect', () =>
    network.disconnect({ Container: containerOf(node), Force: true }),
  );
  return { receipt, cure: () => said('connect', () => plugIn(ground, node)) };
}

const plugIn = ({ docker, networkId }: PerturbGround, node: FleetNode): Promise<unknown> =>
  docker
    .getNetwork(networkId)
    .connect({ Container: containerOf(node), EndpointConfig: endpointOf(node.life) });

/** Another container in its place, on the same disk and under the same address. */
async function remade(
  ground: PerturbGround,
  node: FleetNode,
  change: Partial<FleetNode['make']>,
  what: string,
): Promise<Receipt> {
  const before = node.life.container?.id ?? null;
  Object.assign(node.make, change);
  await remakeContainer(ground, node);
  const { Image, HostConfig, Config } = await node.life.container!.inspect();
  return {
    at: performance.now(),
    what,
    evidence: {
      before,
      container: containerOf(node),
      image: Config.Image,
      imageId: Image,
      memoryBytes: HostConfig.Memory,
    },
  };
}

/** It starts under the limit and lives or is killed by the kernel; both are seen from outside. */
async function limitMemory(ground: PerturbGround, node: FleetNode, mib: number): Promise<Perturbed> {
  const { words } = ground;
  const { life, face } = node;
  const limited = await remade(ground, node, { memoryBytes: mib * 2 ** 20 }, '');
  const mark = words.mark();
  await face.start();
  // Whatever becomes of it now is the limit's doing.
  life.told = true;
  const asked = life.container!.stats({ stream: false, 'one-shot': true }).catch(() => null);
  const stats = (await within(asked, wordWithinMs)) as Stats | null;
  const oom = await Promise.race([
    words.expect(mark, containerOf(node), 'oom', limitShowsMs),
    face.ready(limitShowsMs).then(
      () => null,
      () => words.expect(mark, containerOf(node), 'oom', wordWithinMs),
    ),
  ]);
  const outcome = oom === null ? 'and lives with it' : 'and was killed for it by the kernel';
  return {
    receipt: {
      at: oom?.at ?? performance.now(),
      what: `${life.name} has ${mib} MiB of memory ${outcome}`,
      evidence: {
        ...limited.evidence,
        kernelLimitBytes: stats?.memory_stats?.limit ?? null,
        engine: words.since(mark, containerOf(node)),
      },
    },
    async cure() {
      await stopped(node);
      return remade(ground, node, { memoryBytes: null }, `${life.name} has as much memory as there is`);
    },
  };
}

interface Stats {
  memory_stats?: { limit?: number };
}

/** A node that runs under a fault is taken down for the cure. */
export async function stopped(node: FleetNode): Promise<void> {
  if (node.life.running) await node.face.kill();
}

async function upgrade(ground: PerturbGround, node: FleetNode, image: string): Promise<Perturbed> {
  const old = node.make.image;
  const what = `${node.life.name} is a container of ${image} in place of ${old}, on the same disk`;
  const receipt = await remade(ground, node, { image }, what);
  return { receipt, cure: async () => ({ ...receipt, at: performance.now() }) };
}

/** So long a certificate that is to expire is still good: a node may refuse to start with an expired one. */
const stillGoodMs = 8_000;

/** `expired`: its certificate runs out while it runs, so no new peer may take it. `replaced`: it has a new one, which all must. */
async function replaceCertificate(
  ground: PerturbGround,
  node: FleetNode,
  as: 'replaced' | 'expired',
): Promise<Perturbed> {
  const { life, face } = node;
  if (as === 'replaced') {
    const receipt = await putCertificate(ground, node);
    return { receipt, cure: async () => ({ ...receipt, at: performance.now() }) };
  }
  const notAfterMs = Date.now() + stillGoodMs;
  const receipt = await putCertificate(ground, node, notAfterMs);
  await face.start();
  life.told = true;
  const presented = await showsCertificate(ground, node, notAfterMs);
  return {
    receipt: { ...receipt, at: performance.now(), evidence: { ...receipt.evidence, ...presented } },
    async cure() {
      await stopped(node);
      return putCertificate(ground, node);
    },
  };
}

/** A fresh one into its folder, where it finds it at its next start. */
async function putCertificate(
  { authority }: PerturbGround,
  { plan, life }: FleetNode,
  notAfterMs?: number,
): Promise<Receipt> {
  const identity = { publicKey: Buffer.from(plan.publicKeyBase64, 'base64'), agentId: plan.agentId };
  const { pem } = await authority.issue(identity, notAfterMs === undefined ? {} : { notAfterMs });
  writeFileSync(join(life.files.folder, 'node.crt'), pem);
  giveToContainer(life.files.folder);
  const { serialNumber, validTo } = new X509Certificate(pem);
  const what = `${life.name} has the certificate ${serialNumber.slice(0, 8)}, valid until ${validTo}`;
  return { at: performance.now(), what, evidence: { serialNumber, validTo } };
}

/** What it shows to whoever dials once it has expired; or that it will not run with such a certificate, which is its good right. */
async function showsCertificate(
  ground: PerturbGround,
  node: FleetNode,
  notAfterMs: number,
): Promise<Record<string, unknown>> {
  const { life, face } = node;
  const up = await face.ready(limitShowsMs).then(
    () => true,
    () => false,
  );
  await delay(Math.max(0, notAfterMs + 1_000 - Date.now()));
  if (up && life.running)
    return { presented: await presentedCertificate(life.address, ground.context, wordWithinMs) };
  if (life.running) throw new Error(`${life.name} neither listens with its certificate nor ends`);
  return { ended: life.exit };
}
