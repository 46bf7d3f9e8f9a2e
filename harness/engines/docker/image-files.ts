/**
 * What goes into an image that is made from this machine instead of a base image: programs, the shared libraries they load,
 * the little of /etc that libc asks for. Reads the disk; knows no engine.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { TarEntry } from './image-tar.ts';

/** glibc loads these by name when it looks up a host or a user, so ldd does not list them; since 2.34 they are stubs. */
const LOADED_BY_NAME = ['libnss_files.so.2', 'libnss_dns.so.2', 'libresolv.so.2'];

/** The user of every container, as far as the image may say. */
export const IMAGE_USER = '1000:1000';

/** A file of this machine at a path of the image. */
export function fileEntry(path: string, file: string, mode = 0o644): TarEntry {
  const real = realpathSync(file);
  return { path, kind: 'file', mode, content: { file: real, size: statSync(real).size } };
}

/** Every file of a folder, below `path`. */
export function folderEntries(path: string, folder: string): TarEntry[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => fileEntry(`${path}${file.slice(folder.length)}`, file));
}

/**
 * The shared libraries that programs and add-ons need, at the paths where this machine's loader finds them; none for a
 * static program. Throws where one of them is missing.
 */
export async function libraryEntries(programs: readonly string[]): Promise<TarEntry[]> {
  const found = new Set<string>();
  for (const program of programs) for (const path of await librariesOf(program)) found.add(path);
  for (const libc of [...found].filter((path) => /\/libc\.so\.6$/.test(path)))
    for (const name of LOADED_BY_NAME) {
      const path = join(dirname(libc), name);
      if (existsSync(path)) found.add(path);
    }
  return [...found].sort().map((path) => fileEntry(path, path, 0o755));
}

/** The folders of libraries, for LD_LIBRARY_PATH: this machine's loader may know them from a cache that stays here. */
export function libraryPath(libraries: readonly TarEntry[]): string {
  return [...new Set(libraries.map(({ path }) => dirname(path)))].join(':');
}

async function librariesOf(program: string): Promise<string[]> {
  const text = await ldd(program);
  const paths: string[] = [];
  for (const line of text.split('\n')) {
    if (/=> not found/.test(line)) throw new Error(`${program}: ${line.trim()}`);
    const path = line.match(/=>\s+(\/\S+)/)?.[1] ?? line.match(/^\s+(\/\S+)/)?.[1];
    if (path !== undefined) paths.push(path);
    // `/lib/ld.so => /usr/lib/ld.so`: the program asks for the name on the left.
    const asked = line.match(/^\s+(\/\S+)\s+=>/)?.[1];
    if (asked !== undefined) paths.push(asked);
  }
  return paths;
}

/** ldd fails for a static program, which needs nothing. */
async function ldd(program: string): Promise<string> {
  try {
    return (await promisify(execFile)('ldd', [program], { env: { ...process.env, LC_ALL: 'C' } })).stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    if (/not a (?:valid )?dynamic (?:executable|program)/i.test(stdout + stderr)) return '';
    throw error;
  }
}

/** What libc and Node look for besides: who 1000 is, that names are looked up in /etc/hosts first, somewhere to write. */
export const etcEntries: readonly TarEntry[] = [
  {
    path: '/etc/passwd',
    kind: 'file',
    mode: 0o644,
    content: 'root:x:0:0::/:/\nnode:x:1000:1000::/tmp:/\n',
  },
  { path: '/etc/group', kind: 'file', mode: 0o644, content: 'root:x:0:\nnode:x:1000:\n' },
  { path: '/etc/nsswitch.conf', kind: 'file', mode: 0o644, content: 'hosts: files dns\n' },
  { path: '/tmp', kind: 'folder', mode: 0o1777 },
];

/**
 * Hash over paths, modes and contents, in the order given. Compiled code (`.cache`) differs from one compile to the next and
 * follows from the rest, so that two checkouts of the same sources share an image.
 */
export async function hashOf(entries: readonly TarEntry[], recipe: string): Promise<string> {
  const hash = createHash('sha256').update(recipe);
  for (const entry of entries) {
    hash.update(`\0${entry.path}\0${entry.kind}\0${entry.mode}\0`);
    if (entry.kind === 'folder' || entry.path.endsWith('.cache')) continue;
    const { content } = entry;
    if (typeof content === 'string' || Buffer.isBuffer(content)) hash.update(content);
    else if ('byte' in content) hash.update(JSON.stringify(content));
    else
      for await (const chunk of createReadStream(content.file, { highWaterMark: 1 << 20 }))
        hash.update(chunk);
  }
  return hash.digest('hex').slice(0, 16);
}
