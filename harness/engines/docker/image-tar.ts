/**
 * Writes the tar stream that an image is made from: plain ustar, everything owned by root, no times, so that the same files
 * are the same bytes. Knows nothing of images.
 */

import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';

/** What lies at a path. A file's content is a text, or the path of a file on this machine and its size, or a byte again and again. */
export type TarEntry =
  | { path: string; kind: 'folder'; mode: number; owner?: number }
  | {
      path: string;
      kind: 'file';
      mode: number;
      owner?: number;
      content: string | Buffer | { file: string; size: number } | { byte: number; size: number };
    };

/** The entries as a tar archive; parent folders that are not listed are for the reader to make. */
export function tarStream(entries: readonly TarEntry[]): Readable {
  return Readable.from(blocks(entries));
}

async function* blocks(entries: readonly TarEntry[]): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    const size = sizeOf(entry);
    yield header(entry, size);
    if (entry.kind === 'folder') continue;
    const { content } = entry;
    if (typeof content === 'string' || Buffer.isBuffer(content)) yield Buffer.from(content);
    else if ('byte' in content) yield* bytesOf(content);
    else yield* fileOf(content);
    yield Buffer.alloc(paddingOf(size));
  }
  yield Buffer.alloc(1024);
}

const pieceBytes = 1 << 20;

function* bytesOf({ byte, size }: { byte: number; size: number }): Generator<Buffer> {
  const piece = Buffer.alloc(Math.min(size, pieceBytes), byte);
  for (let left = size; left > 0; left -= piece.length) yield piece.subarray(0, left);
}

async function* fileOf({ file, size }: { file: string; size: number }): AsyncGenerator<Buffer> {
  let sent = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: pieceBytes })) {
    sent += (chunk as Buffer).length;
    yield chunk as Buffer;
  }
  if (sent !== size) throw new Error(`${file} changed while it was read`);
}

function sizeOf(entry: TarEntry): number {
  if (entry.kind === 'folder') return 0;
  const { content } = entry;
  if (typeof content === 'string' || Buffer.isBuffer(content)) return Buffer.byteLength(content);
  return content.size;
}

const paddingOf = (size: number): number => (512 - (size % 512)) % 512;

/** POSIX.1-1988 ustar: name 100, mode 8, uid 8, gid 8, size 12, mtime 12, checksum 8, type 1, …, magic, …, prefix 155. */
function header(entry: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(512);
  const { name, prefix } = split(entry.path.replace(/^\//, '') + (entry.kind === 'folder' ? '/' : ''));
  // The field of the size holds 8 GiB less one.
  if (size >= 8 ** 11) throw new Error(`${entry.path}: too large for a tar archive`);
  const octal = (value: number, at: number, width: number): void => {
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
  };
  const owner = entry.owner ?? 0;
  block.write(name, 0, 'utf8');
  octal(entry.mode, 100, 8);
  octal(owner, 108, 8);
  octal(owner, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.write('        ', 148, 'latin1');
  block.write(entry.kind === 'folder' ? '5' : '0', 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(prefix, 345, 'utf8');
  const checksum = block.reduce((sum, byte) => sum + byte, 0);
  block.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function split(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' };
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100 && name !== '')
      return { name, prefix };
  }
  throw new Error(`${path}: too long a path for a tar archive`);
}
