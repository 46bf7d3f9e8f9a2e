/**
 * The folder of a node in a container, on this machine: what is mounted at `/cle` (profile §10). Whose files they are decides
 * as whom the container runs, so that it can read its key and we can remove its data.
 */

import { chownSync, lchownSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configText, type NodeFiles, type NodeFolder, writeNodeFolder } from '../node-files.ts';
import { CONTAINER_FOLDER } from './image.ts';

/** Never root: our own user, or 1000 where the harness itself is root. */
export function containerUser(): { uid: number; gid: number } {
  const uid = process.getuid?.() ?? 0;
  return uid === 0 ? { uid: 1000, gid: 1000 } : { uid, gid: process.getgid!() };
}

/** As of the engine: `User` of a container. */
export function containerUserText(): string {
  const { uid, gid } = containerUser();
  return `${uid}:${gid}`;
}

/** Makes the folder anew, with paths below `/cle` in its configuration. Throws if it exists. */
export function writeContainerFolder(folder: string, files: NodeFiles): NodeFolder {
  const written = writeNodeFolder(folder, files);
  writeFileSync(written.configFile, configText(CONTAINER_FOLDER, files));
  giveToContainer(folder);
  return written;
}

/** The container's user owns all of it; nothing to do where that is our own user. */
export function giveToContainer(folder: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = containerUser();
  chownSync(folder, uid, gid);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    lchownSync(join(entry.parentPath, entry.name), uid, gid);
}
