/**
 * A disk that is full: the node's data moves to a small file system in memory, a stranger's file takes all the rest of it. The
 * file system outlives restarts of the node because a container that does nothing keeps it mounted. No privilege, no shell.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type Docker from 'dockerode';
import type { Receipt } from '../../engine.ts';
import { contentsOf } from '../node-files.ts';
import { engineWords } from './connect.ts';
import { type FleetGround, type FleetNode, remakeContainer, type SmallDisk } from './fleet-node.ts';
import { containerUser, containerUserText } from './folder.ts';
import { type TarEntry, tarStream } from './image-tar.ts';
import type { Perturbed } from './perturb.ts';

const readyWithinMs = 30_000;

/**
 * The node runs when its disk is filled. At the cure it stands still and the disk is as it left it, less the ballast. A node that has
 * a small disk from an earlier time keeps it, with the room that it had then.
 */
export async function fillDisk(
  ground: FleetGround,
  node: FleetNode,
  mib: number,
  keeperImage: string,
): Promise<Perturbed> {
  const { life, face } = node;
  if (node.make.disk === null) {
    node.make.disk = await smallDisk(ground, node, mib, keeperImage);
    await remakeContainer(ground, node);
  }
  const { volume, mib: room } = node.make.disk;
  const keeper = ground.docker.getContainer(volume);
  await face.start();
  await face.ready(readyWithinMs);
  // Whatever becomes of it now is the full disk's doing.
  life.told = true;
  const refusal = await fill(keeper, room);
  const receipt = (what: string, evidence: Record<string, unknown>): Receipt => ({
    at: performance.now(),
    what,
    evidence: { mib: room, volume, ...evidence },
  });
  return {
    receipt: receipt(`the disk of ${life.name} (${room} MiB) is full`, { engine: refusal }),
    async cure() {
      if (life.running) await face.kill();
      await put(keeper, ballastOf(ballastMib(room), null));
      return receipt(`the disk of ${life.name} has room again`, {});
    },
  };
}

/** Makes the file system with the node's data in it. */
async function smallDisk(
  ground: FleetGround,
  node: FleetNode,
  mib: number,
  keeperImage: string,
): Promise<SmallDisk> {
  const { docker, labels, network } = ground;
  const { life } = node;
  const { uid, gid } = containerUser();
  node.make.disks += 1;
  const name = `${network}-${life.name}-disk-${node.make.disks}`;
  const held = Math.ceil(contentsOf(life.files.dataDir).bytes / 2 ** 20);
  await docker.createVolume({
    Name: name,
    Labels: labels,
    DriverOpts: {
      type: 'tmpfs',
      device: 'tmpfs',
      o: `size=${mib + held}m,mode=0700,uid=${uid},gid=${gid}`,
    },
  });
  const keeper = await docker.createContainer({
    name,
    Image: keeperImage,
    User: containerUserText(),
    Labels: labels,
    HostConfig: {
      NetworkMode: 'none',
      Binds: [`${name}:/disk:rw`],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      LogConfig: { Type: 'none', Config: {} },
    },
  });
  await keeper.start();
  await put(keeper, dataEntries(life.files.dataDir));
  return { volume: name, mib };
}

function dataEntries(folder: string): TarEntry[] {
  const { uid } = containerUser();
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
    const file = join(entry.parentPath, entry.name);
    const path = file.slice(folder.length);
    if (entry.isDirectory()) return { path, kind: 'folder', mode: 0o700, owner: uid };
    return { path, kind: 'file', mode: statSync(file).mode & 0o777, owner: uid, content: readFileSync(file) };
  });
}

async function put(keeper: Docker.Container, entries: readonly TarEntry[]): Promise<void> {
  await keeper.putArchive(tarStream(entries) as unknown as NodeJS.ReadableStream, { path: '/disk' });
}

/** No file in a tar archive is as large as a disk may be. */
const largestMib = 4_096;

/** Files that take `mib` together; with `byte` null empty ones in their place. */
export function ballastOf(mib: number, byte: number | null): TarEntry[] {
  return Array.from({ length: Math.ceil(mib / largestMib) }, (_, index) => {
    const size = Math.min(largestMib, mib - index * largestMib) * 2 ** 20;
    const content = byte === null ? '' : { byte, size };
    return { path: `/.ballast-${index + 1}`, kind: 'file', mode: 0o600, content };
  });
}

/** More than fits. */
const ballastMib = (mib: number): number => mib + 2;

/** Puts in more than fits; what the engine says then is the proof. Rejects if all of it fits. */
async function fill(keeper: Docker.Container, mib: number): Promise<string> {
  try {
    await put(keeper, ballastOf(ballastMib(mib), 0x2e));
  } catch (error) {
    const words = engineWords(error);
    if (/no space left on device/i.test(words)) return words;
    throw error;
  }
  throw new Error('more was written to the disk than it can hold');
}
