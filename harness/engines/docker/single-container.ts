/**
 * Makes and first starts the container under test, by testcontainers. What that library has no words for, a static address and a
 * read-only root, goes into the engine's request underneath it. Its reaper is not used: the run's label and the sweep do that.
 */

import type Docker from 'dockerode';
import { GenericContainer, type WaitStrategy } from 'testcontainers';
import { CONTAINER_CONFIG, CONTAINER_FOLDER } from './image.ts';

export interface SingleContainer {
  /** Id of the image, without `sha256:`. */
  image: string;
  name: string;
  network: string;
  address: string;
  names: Readonly<Record<string, string>>;
  /** `uid:gid`. */
  user: string;
  labels: Record<string, string>;
  /** What is mounted at `/cle`. */
  folder: string;
  /** When it exists and has not started: the time to listen to its output. */
  created(id: string): Promise<void>;
}

class UnderTest extends GenericContainer {
  readonly #created: (id: string) => Promise<void>;

  constructor(of: SingleContainer) {
    super(of.image);
    this.#created = of.created;
    const IPAMConfig = { IPv4Address: of.address };
    this.createOpts.User = of.user;
    this.createOpts.NetworkingConfig = { EndpointsConfig: { [of.network]: { IPAMConfig } } };
    this.hostConfig.ReadonlyRootfs = true;
    // Every byte goes into the log file through us; the engine need not keep another copy.
    this.hostConfig.LogConfig = { Type: 'none', Config: {} };
  }

  protected override containerCreated(id: string): Promise<void> {
    return this.#created(id);
  }
}

/** Resolves when the engine has started it; rejects with the engine's error. Whether it is a node is for others to find out. */
export async function startSingle(of: SingleContainer): Promise<void> {
  await new UnderTest(of)
    .withAutoCleanup(false)
    .withName(of.name)
    .withLabels(of.labels)
    .withNetworkMode(of.network)
    .withEnvironment({ CLE_CONFIG: CONTAINER_CONFIG, HOME: '/tmp' })
    .withBindMounts([{ source: of.folder, target: CONTAINER_FOLDER, mode: 'rw' }])
    .withExtraHosts(Object.entries(of.names).map(([host, ipAddress]) => ({ host, ipAddress })))
    .withTmpFs({ '/tmp': 'rw,mode=1777' })
    .withDroppedCapabilities('ALL')
    .withSecurityOpt('no-new-privileges')
    .withWaitStrategy(noWait)
    .start();
}

/** The library would run a shell in the container to look at its ports; we shake hands from outside. */
const noWait: WaitStrategy = {
  waitUntilReady: async (_container: Docker.Container) => {},
  withStartupTimeout: () => noWait,
  isStartupTimeoutSet: () => false,
  getStartupTimeout: () => 0,
};
