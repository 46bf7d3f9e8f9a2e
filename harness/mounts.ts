/**
 * Small file systems for tests of a full disk, and how they go again: whatever removes a run's folder first takes off what was
 * mounted below it, so that a killed harness leaves none. Linux and root only; elsewhere there are none.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Mounts an empty file system of so many bytes over a folder; the reason where that cannot be done, else null. */
export function mountSmall(folder: string, bytes: number): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux and root';
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'cle-testnet', folder], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return null;
  } catch (error) {
    const said = (error as { stderr?: Buffer }).stderr?.toString().trim() || (error as Error).message;
    return `mount: ${said.split('\n', 1)[0]}`;
  }
}

/** Takes off everything of ours that is mounted at or below a folder, in use or not. */
export function unmountBelow(folder: string): void {
  if (process.platform !== 'linux') return;
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    // … mount point (5th), …, " - " type source: octal escapes stand for spaces.
    const [before, after] = line.split(' - ');
    const point = before
      ?.split(' ')[4]
      ?.replace(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
    if (point === undefined || after?.startsWith('tmpfs cle-testnet') !== true) continue;
    if (point !== folder && !point.startsWith(`${folder}/`)) continue;
    execFileSync('umount', ['-l', point], { stdio: 'ignore' });
  }
}
