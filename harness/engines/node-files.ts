/**
 * What a node finds on disk when it starts: its folder with configuration (profile §10), key, certificate, CA and data. Writes
 * files, starts nothing. The folder is laid out as a container finds it under `/cle`.
 */

import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';

export interface BootstrapNode {
  host: string;
  port: number;
  /** Base64 of the raw public key. */
  publicKey: string;
}

/** Everything that goes into a node's folder. Addresses are `host:port`; parameters have the names of profile §10. */
export interface NodeFiles {
  agentId: string;
  listen: string;
  advertise: string;
  keyPem: string;
  certificatePem: string;
  caPem: string;
  bootstrapNodes: readonly BootstrapNode[];
  /** Name → address for this node alone. */
  hosts?: Readonly<Record<string, string>>;
  metrics?: string;
  parameters?: Readonly<Record<string, number>>;
}

export interface NodeFolder {
  readonly folder: string;
  readonly configFile: string;
  readonly dataDir: string;
  /** Given to the node as TMPDIR, so that what it forgets there goes with the run. */
  readonly tempDir: string;
}

/** Makes the folder anew. Throws if it exists. */
export function writeNodeFolder(folder: string, files: NodeFiles): NodeFolder {
  const dataDir = join(folder, 'data');
  const tempDir = join(folder, 'tmp');
  mkdirSync(dataDir, { recursive: true });
  mkdirSync(tempDir);
  writeFileSync(join(folder, 'node.key'), files.keyPem, { mode: 0o600 });
  writeFileSync(join(folder, 'node.crt'), files.certificatePem);
  writeFileSync(join(folder, 'ca.crt'), files.caPem);
  const configFile = join(folder, 'cle.yaml');
  writeFileSync(configFile, configText(folder, files));
  return { folder, configFile, dataDir, tempDir };
}

/** The YAML of profile §10 for a node whose files lie in `folder`. */
export function configText(folder: string, files: NodeFiles): string {
  const optional: Record<string, unknown> = {};
  if (files.hosts !== undefined) optional.hosts = files.hosts;
  if (files.metrics !== undefined) optional.metrics = files.metrics;
  if (files.parameters !== undefined) optional.parameters = files.parameters;
  return stringify(
    {
      agent_id: files.agentId,
      listen: files.listen,
      advertise: files.advertise,
      key_file: join(folder, 'node.key'),
      certificate_file: join(folder, 'node.crt'),
      ca_file: join(folder, 'ca.crt'),
      data_dir: join(folder, 'data'),
      bootstrap_nodes: files.bootstrapNodes.map(({ host, port, publicKey }) => ({
        host,
        port,
        public_key: publicKey,
      })),
      ...optional,
    },
    { lineWidth: 0 },
  );
}

/** Empties a folder without removing it; tells what was there. */
export function emptyFolder(folder: string): { files: number; bytes: number } {
  const held = contentsOf(folder);
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
  return held;
}

/** Files and bytes below a folder. */
export function contentsOf(folder: string): { files: number; bytes: number } {
  let [files, bytes] = [0, 0];
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    files += 1;
    bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return { files, bytes };
}
