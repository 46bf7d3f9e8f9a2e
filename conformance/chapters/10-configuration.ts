/** § 10 of the profile: the configuration that a node is started with, good and bad. */

import { readable } from '../../harness/wire/json.ts';
import { listenTcp } from '../../harness/wire/listener.ts';
import { openTcp } from '../../harness/wire/transport.ts';
import type { Bench } from '../bench.ts';
import { stillServed } from '../expect.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { FailedStart, NodeOptions } from '../target.ts';

type Change = (text: string) => string;

/** Sets a key of the first level, or leaves it out. The configuration is block YAML, its lists and maps indented. */
function set(key: string, value: string | null): Change {
  return (text) => {
    const lines = text.split('\n');
    const at = lines.findIndex((line) => line.startsWith(`${key}:`));
    const end = lines.findIndex((line, index) => index > at && /^\S/.test(line));
    const rest = at < 0 ? lines : [...lines.slice(0, at), ...lines.slice(end < 0 ? lines.length : end)];
    const kept = rest.join('\n').trimEnd();
    return value === null ? `${kept}\n` : `${kept}\n${key}: ${value}\n`;
  };
}

const parameter = (name: string, value: string): Change => set('parameters', `{${name}: ${value}}`);
const key = Buffer.alloc(32, 9).toString('base64');

interface Variant {
  what: string;
  change: Change;
  /** One of these must stand in the line on stderr; none: whatever it says. */
  names: readonly string[];
}

const variants: readonly Variant[] = [
  ...['agent_id', 'advertise', 'key_file', 'data_dir', 'bootstrap_nodes'].map((name) => ({
    what: `no ${name}`,
    change: set(name, null),
    names: [name],
  })),
  { what: 'an unknown key', change: set('colour', 'red'), names: ['colour'] },
  { what: 'an unknown parameter', change: parameter('fanuot', '3'), names: ['fanuot'] },
  { what: 'a fan-out of 0', change: parameter('fanout', '0'), names: ['fanout'] },
  { what: 'a fan-out of 2.5', change: parameter('fanout', '2.5'), names: ['fanout'] },
  { what: 'a fan-out in words', change: parameter('fanout', 'three'), names: ['fanout'] },
  { what: 'a negative time', change: parameter('cache_ttl_s', '-60'), names: ['cache_ttl_s'] },
  {
    what: 'a heartbeat interval of 0',
    change: parameter('heartbeat_interval_s', '0'),
    names: ['heartbeat_interval_s'],
  },
  {
    what: 'a negative checkpoint interval',
    change: parameter('checkpoint_interval_s', '-1'),
    names: ['checkpoint_interval_s'],
  },
  { what: 'an agent_id in another form', change: set('agent_id', 'robot'), names: ['agent_id'] },
  { what: 'a listen address without a port', change: set('listen', '127.0.0.1'), names: ['listen'] },
  { what: 'a port above 65535', change: set('listen', '127.0.0.1:70000'), names: ['listen'] },
  { what: 'a key file that is not there', change: set('key_file', '/nowhere/node.key'), names: ['key_file'] },
  { what: 'a CA file that is not there', change: set('ca_file', '/nowhere/ca.crt'), names: ['ca_file'] },
  {
    what: 'bootstrap nodes that are no list',
    change: set('bootstrap_nodes', 'node-1:8888'),
    names: ['bootstrap_nodes'],
  },
  {
    what: 'a bootstrap node without a key',
    change: set('bootstrap_nodes', '[{host: node-1, port: 8888}]'),
    names: ['bootstrap_nodes', 'public_key'],
  },
  {
    what: 'a bootstrap node with a port of 0',
    change: set('bootstrap_nodes', `[{host: node-1, port: 0, public_key: ${key}}]`),
    names: ['bootstrap_nodes', 'port'],
  },
  {
    what: 'a bootstrap node with a key of 3 bytes',
    change: set('bootstrap_nodes', '[{host: node-1, port: 8888, public_key: AAAA}]'),
    names: ['bootstrap_nodes', 'public_key'],
  },
  {
    what: 'an unknown key of a bootstrap node',
    change: set('bootstrap_nodes', `[{host: node-1, port: 8888, public_key: ${key}, weight: 3}]`),
    // "naming the key": the unknown one, or the one that it stands in.
    names: ['weight', 'bootstrap_nodes'],
  },
  { what: 'hosts that are no map', change: set('hosts', '[node-1]'), names: ['hosts'] },
  { what: 'no YAML', change: () => 'agent_id: [\nlisten', names: [] },
];

/** What traces of exceptions look like in the languages that nodes are written in. */
const trace = /^\s+at |^Traceback|^\s+File "|^goroutine |^panic: |panicked at|RUST_BACKTRACE|^\s+\^+$/;

/** Its end, unless it accepts connections before: then it has started, whatever comes of it. */
async function endOf(bench: Bench, { what, change }: Variant): Promise<FailedStart | null> {
  let address = '';
  const configText: Change = (text) => {
    address = /^listen: (\S+)$/m.exec(text)?.[1] ?? '';
    return change(text);
  };
  let over = false;
  const started = async (): Promise<never> => {
    while (!over) {
      await bench.sleep(250, `whether a node with ${what} listens`);
      const socket = address === '' ? null : await openTcp(address);
      if (socket === null || 'kind' in socket) continue;
      socket.destroy();
      if (!over) fail(`with ${what} the node started`);
    }
    return new Promise(() => {});
  };
  try {
    return await Promise.race([bench.startAndExit({ configText }, 20_000), started()]);
  } finally {
    over = true;
  }
}

function judge({ what, names }: Variant, end: FailedStart | null): void {
  if (end === null) late(`with ${what} the node still ran after 20 s`);
  if (end.code !== 2) {
    const how = end.signal === null ? `with code ${end.code}` : `by ${end.signal}`;
    fail(`with ${what} the node ended ${how}, expected code 2`, end.stderr.slice(0, 10));
  }
  const { stderr } = end;
  const traced = stderr.find((line) => trace.test(line));
  if (traced !== undefined)
    fail(`with ${what} the node printed a stack trace: ${traced}`, stderr.slice(0, 10));
  if (stderr.length === 0) fail(`with ${what} the node said nothing on stderr`);
  if (stderr.length > 3)
    fail(`with ${what} the node said ${stderr.length} lines on stderr, expected one`, stderr);
  if (names.length > 0 && !stderr.some((line) => names.some((name) => line.includes(name))))
    fail(`with ${what} stderr does not name ${names.join(' or ')}: ${stderr.join(' / ')}`);
}

/** A few at a time: each is a start of a process. */
async function inTurns<T>(jobs: readonly T[], atOnce: number, run: (job: T) => Promise<void>): Promise<void> {
  const left = [...jobs];
  const worker = async (): Promise<void> => {
    for (let job = left.shift(); job !== undefined; job = left.shift()) await run(job);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function starts(bench: Bench, what: string, options: NodeOptions): Promise<void> {
  bench.step(`a good configuration: ${what}`);
  const node = await bench.node(options);
  const connection = await (await bench.puppet('visitor')).join(node);
  await stillServed(connection);
  await connection.close();
}

export const rows: readonly Requirement[] = [
  {
    id: 'CFG-01',
    level: 'must',
    section: '10',
    role: 's',
    quote:
      'Bad configuration, unknown keys and a port in use included: one line naming the key on stderr, exit code 2, nothing started.',
    reading:
      'A node that is given a bad configuration ends with code 2 and names the key on stderr, without a stack trace; good ones in any YAML, with all parameters, start.',
    ruling:
      "Up to two further lines on stderr (a runtime's warnings) are forgiven; of a file that is no map no key can be named.",
    mutants: [
      'exit-code-one',
      'configuration-trace',
      'key-not-named',
      'unknown-keys-ignored',
      'unknown-bootstrap-keys-ignored',
      'unknown-parameters-ignored',
      'ranges-unchecked',
      'zero-times-accepted',
      'missing-keys-default',
      'port-in-use-crash',
      'bootstrap-keys-unchecked',
      'integral-times-only',
    ],
    needs: ['start'],
    durationHintMs: 7_000,
    cpu: 0.6,
    limitMs: 90_000,
    test: async (bench) => {
      bench.step(`${variants.length} bad configurations`);
      await inTurns(variants, 3, async (variant) => {
        judge(variant, await endOf(bench, variant));
      });
      bench.step('a port that is in use');
      const taken = await (await bench.puppet('squatter')).listen({ handshake: null });
      const busy = {
        what: 'a port in use',
        change: set('listen', taken.address),
        names: ['listen', String(taken.port)],
      };
      judge(busy, await bench.startAndExit({ configText: busy.change }, 20_000));
      await starts(bench, 'every parameter given', {
        parameters: {
          fanout: 3,
          ttl: 3,
          cache_ttl_s: 60,
          heartbeat_interval_s: 30,
          peer_timeout_s: 90.5,
          anti_entropy_interval_s: 0,
          checkpoint_interval_s: 0,
          target_peers: 10,
          max_peers: 50,
          bucket_size: 20,
          handshake_timeout_s: 5,
          commits_per_minute: 10,
          queries_per_minute: 30,
          bytes_per_second: 1_048_576,
        },
      });
      await starts(bench, 'comments, quotes, and maps in one line', {
        configText: (text) =>
          [
            '# a node',
            set(
              'bootstrap_nodes',
              `[{host: "node-1.invalid", port: 8888, public_key: ${key}}]`,
            )(set('parameters', '{}  # none')(text)).replace(
              /^advertise: (.*)$/m,
              "advertise: 'node-7:8888' # told to others",
            ),
            'hosts: {node-1.invalid: 127.0.0.1}',
            '',
          ].join('\n'),
      });
      return pass(
        `${variants.length + 1} bad configurations ended with code 2 and a line, two good ones started`,
      );
    },
  },
  {
    id: 'CFG-02',
    level: 'must',
    section: '10',
    role: 'b',
    quote: 'optional dial map from name to address, consulted before DNS; the port stays',
    reading:
      'Names of bootstrap nodes and of learned peers go through `hosts` before DNS, and what a node says of its address is `advertise`, verbatim.',
    mutants: ['hosts-ignored', 'hosts-after-dns', 'advertises-listen', 'advertise-in-lower-case'],
    needs: ['start', 'dial-back'],
    durationHintMs: 3_000,
    test: async (bench) => {
      const [unknown, known, learned] = await bench.puppets(3);
      const third = `peer.nowhere.invalid:${learned!.bootstrap.port}`;
      const first = await unknown!.listen({
        handshake: {
          capabilities: ['gossip', 'sync'],
          peers: [{ node_id: learned!.nodeId, address: third }],
        },
        manners: { peers: [{ node_id: learned!.nodeId, address: third }] },
      });
      const second = await known!.listen();
      const last = await learned!.listen();
      // DNS knows localhost, but as another address than the one on which this puppet listens.
      let misled = 0;
      const { host, port } = known!.bootstrap;
      const decoy =
        host === '127.0.0.1'
          ? null
          : await listenTcp('127.0.0.1', port, (socket) => {
              misled += 1;
              socket.destroy();
            }).catch(() => null);
      if (decoy !== null) bench.onClose(() => decoy.close());
      const hosts = {
        'first.nowhere.invalid': unknown!.bootstrap.host,
        localhost: known!.bootstrap.host,
        'peer.nowhere.invalid': learned!.bootstrap.host,
      };
      const advertise = 'Some-Name.Example:4711';
      const node = await bench.node({
        hosts,
        advertise,
        bootstrap: [
          { ...unknown!.bootstrap, host: 'first.nowhere.invalid' },
          { ...known!.bootstrap, host: 'localhost' },
        ],
      });
      bench.step('waiting for dials by names that only `hosts` knows');
      const dialled = [];
      for (const listener of [second, first, last]) {
        const joining = listener.nextJoined(20_000);
        joining.catch(() => {});
        await bench.waitFor(
          'a dial by a name in `hosts`',
          20_000,
          () => listener.attempts.length > 0 || misled > 0,
        );
        if (misled > 0) fail('the node dialled localhost where DNS has it, though `hosts` says otherwise');
        dialled.push(await joining);
      }
      const visitor = await (await bench.puppet('visitor')).join(node);
      for (const connection of [...dialled, visitor]) {
        const told = connection.seen('hello')[0]?.payload?.address;
        if (told !== advertise)
          fail(`${connection.label} was told the address ${readable(told)}, expected ${advertise}`);
      }
      return pass(
        'two bootstrap nodes and a learned peer were dialled through `hosts`; `advertise` was told verbatim',
      );
    },
  },
];
