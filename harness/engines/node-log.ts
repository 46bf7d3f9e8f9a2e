/**
 * A node's log file: a process writes into it itself (no byte passes through the harness, none is lost when it dies), the
 * harness adds lines marked `[cle-testnet]` and reads the end. Knows no node.
 */

import {
  appendFileSync,
  closeSync,
  createWriteStream,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  type WriteStream,
} from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { isDiskFull } from '../run-record.ts';

/** As much of the end of a log as is ever looked at. */
const tailBytes = 64 * 1024;
/** A foreign node in debug mode can write gigabytes; above this the log is cut back to its end. */
const mostBytes = 64 * 1024 * 1024;

/** For the child's stdout and stderr. Appending writers share one file without losing order. */
export function openLog(file: string): number {
  return openSync(file, 'a', 0o644);
}

/** A line of the harness's own. A disk that is full costs the line, not the run: the end of the run says that it is full. */
export function remark(file: string, text: string): void {
  try {
    appendFileSync(file, `[cle-testnet] ${new Date().toISOString()} ${text}\n`);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

/** For what comes to us through a container engine; of a full disk the same holds as for our own lines. */
export function logStream(file: string): WriteStream {
  return createWriteStream(file, { flags: 'a' }).on('error', (error) => {
    if (!isDiskFull(error)) throw error;
  });
}

/**
 * The last lines of a log, oldest first, without control characters; empty if there is no file. `sinceRemark`: only what the
 * node wrote after the harness's last line, i.e. since its last start.
 */
export function lastLines(file: string, count: number, options: { sinceRemark?: boolean } = {}): string[] {
  const lines = endOf(file)
    .text.split('\n')
    .filter((line) => line.trim() !== '');
  const from = options.sinceRemark ? lines.findLastIndex((line) => line.startsWith('[cle-testnet]')) + 1 : 0;
  return lines.slice(from).slice(-count).map(printable);
}

/** Cuts a log that grew beyond its bound back to its end. Cheap where it did not. */
export function boundLog(file: string): void {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) <= mostBytes) return;
  const { text, size } = endOf(file);
  const fd = openSync(file, 'r+');
  try {
    ftruncateSync(fd, 0);
  } finally {
    closeSync(fd);
  }
  remark(file, `${size} bytes of log were cut here; its last lines were:`);
  appendFileSync(file, `${text}\n`);
}

function endOf(file: string): { text: string; size: number } {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return { text: '', size: 0 };
  }
  try {
    const { size } = fstatSync(fd);
    const length = Math.min(size, tailBytes);
    const buffer = Buffer.alloc(length);
    const read = readSync(fd, buffer, 0, length, size - length);
    const text = buffer.toString('utf8', 0, read);
    // Beginning in the middle of a line would show half of it.
    return { text: length < size ? text.slice(text.indexOf('\n') + 1) : text, size };
  } finally {
    closeSync(fd);
  }
}

/** Logs go to terminals: escape sequences of a foreign node must not act there. */
function printable(line: string): string {
  return stripVTControlCharacters(line).replace(/(?!\t)\p{Cc}/gu, '');
}
