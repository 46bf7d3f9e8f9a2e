/**
 * What nodes stand on: the network, Toxiproxy on it, and the prober that sees links as they do. Tries the schemes in turn and says in
 * one line why it had to take the second. Knows no node.
 */

import type Docker from 'dockerode';
import type { Plan } from '../../plan.ts';
import { UsageError } from '../../usage-error.ts';
import { engineWords } from './connect.ts';
import type { Images } from './fleet-images.ts';
import { removeRun } from './leftovers.ts';
import { type FleetNetwork, neighbourLimit, openFleetNetwork, type Scheme } from './network.ts';
import { NoAnswer, type Prober, startProber } from './prober.ts';
import { startToxiproxy, type ToxiproxyContainer } from './toxiproxy.ts';

export interface Lines {
  network: FleetNetwork;
  toxiproxy: ToxiproxyContainer;
  /** null where there is no image with Node in it. */
  prober: Prober | null;
}

export interface LinesWanted {
  docker: Docker;
  runId: string;
  /** Of the network, and the beginning of every container's. */
  name: string;
  labels: Record<string, string>;
  plan: Plan;
  images: Images;
  logFile: string;
  schemes: readonly Scheme[];
  say(text: string): void;
}

/** UsageError where no scheme works on this engine. */
export async function layLines(wanted: LinesWanted): Promise<Lines> {
  let because = '';
  for (const scheme of wanted.schemes) {
    if (scheme === 'on-link') wanted.say(onLinkLimit(because));
    const laid = await attempt(wanted, scheme);
    if (typeof laid !== 'string') return laid;
    because = laid;
    await removeRun(wanted.docker, wanted.runId);
  }
  throw new UsageError(`the container engine cannot make the links: ${because}`);
}

/** A prober that does not come up in time is missed in receipts only. */
function withoutProber(error: unknown): null {
  if (error instanceof NoAnswer) return null;
  throw error;
}

/** The reason where it does not work. */
async function attempt(wanted: LinesWanted, scheme: Scheme): Promise<Lines | string> {
  const { docker, name, labels, plan, images, logFile } = wanted;
  try {
    const network = await openFleetNetwork(docker, name, labels, plan, scheme);
    // Side by side, and both to their end even if one fails: what they made is removed together.
    const [proxied, probed] = await Promise.allSettled([
      startToxiproxy(docker, images.toxiproxy, `${name}-toxiproxy`, labels, network, logFile),
      images.reference === null
        ? null
        : startProber(docker, images.reference, labels, network).catch(withoutProber),
    ]);
    if (proxied.status === 'rejected') throw proxied.reason;
    if (probed.status === 'rejected') throw probed.reason;
    const [toxiproxy, prober] = [proxied.value, probed.value];
    if (prober === null) {
      wanted.say(
        'nobody stands among the nodes to dial their links: faults on links are proved by the server alone',
      );
      return { network, toxiproxy, prober };
    }
    if (await prober.reaches(network.testAlias)) return { network, toxiproxy, prober };
    return `from where the nodes stand, ${network.testAlias} does not lead to Toxiproxy`;
  } catch (error) {
    // The person's trouble is the same in every scheme.
    if (error instanceof UsageError || (error as { statusCode?: number }).statusCode === undefined)
      throw error;
    return engineWords(error);
  }
}

function onLinkLimit(because: string): string {
  const limit = neighbourLimit();
  const room = limit === null ? "the kernel's neighbour table" : `the kernel's neighbour table of ${limit}`;
  const why = because === '' ? '' : ` (with Toxiproxy as the nodes' gateway: ${because})`;
  return `the links' addresses lie in the nodes' own network${why}; about 900 links in use fit into ${room}`;
}
