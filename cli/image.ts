/**
 * `npm run -s image`: makes the image of the reference node on this machine's engine, if it is not there yet, and prints its name.
 * For people who start it in tests of their own, or give it a name and push it.
 */

import type Docker from 'dockerode';
import { connectDocker } from '../harness/engines/docker/connect.ts';
import { nodeImage } from '../harness/engines/docker/image.ts';
import { UsageError } from '../harness/usage-error.ts';
import { bundleNode } from '../node/bundle.ts';
import { readWords } from './command-line.ts';
import { exitWith } from './exit.ts';

const usage = `npm run -s image -- [--tag NAME:TAG]

Prints the name of the reference node's image; with --tag it gets that name too, and is yours to keep or to push.`;

const flags = { tag: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;

async function image(argv: readonly string[]): Promise<number> {
  const values = parsed(argv);
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const { docker, description } = await connectDocker();
  const { command, dir, addonsFor } = await bundleNode();
  const { ref, how } = await nodeImage(docker, { command, folder: dir, addonsFor });
  console.error(`${description}: ${how}`);
  if (values.tag !== undefined) await named(docker.getImage(ref), values.tag);
  console.log(values.tag ?? ref);
  return 0;
}

function parsed(argv: readonly string[]): { tag?: string; help?: boolean } {
  const { values, positionals } = readWords(argv, flags);
  if (positionals.length > 0)
    throw new UsageError(`unknown argument "${positionals.join(' ')}" (there is: --tag)`);
  return values;
}

/** `registry:5000/name` has a colon and no tag. */
async function named(made: Docker.Image, name: string): Promise<void> {
  const [, repo = '', tag = 'latest'] = name.match(/^(.+?)(?::([^:/]+))?$/) ?? [];
  try {
    await made.tag({ repo, tag });
  } catch (error) {
    throw new UsageError(
      `--tag ${name}: ${(error as { json?: { message?: string } }).json?.message ?? error}`,
    );
  }
}

if (process.argv[1] === import.meta.filename) await exitWith('image', () => image(process.argv.slice(2)));
