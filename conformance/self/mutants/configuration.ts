/** Faults in how a node takes its configuration. */

import type { Mutant } from '../mutant.ts';

const configuration = 'node/shell/configuration.ts';
const program = 'node/shell/program.ts';
const dialer = 'node/shell/dialer.ts';
const mapped = 'const host = options.hosts.get(name) ?? name;';

export const mutants: readonly Mutant[] = [
  {
    id: 'exit-code-one',
    kills: ['CFG-01'],
    file: program,
    find: 'process.exit(2);',
    replace: 'process.exit(1);',
    note: 'ends with code 1',
    ci: true,
  },
  {
    id: 'configuration-trace',
    kills: ['CFG-01'],
    file: program,
    find: 'process.stderr.write(`${error.message}\\n`);',
    replace: 'process.stderr.write(`${error.stack}\\n`);',
    note: 'prints a stack trace',
  },
  {
    id: 'key-not-named',
    kills: ['CFG-01'],
    file: configuration,
    find: 'oneLine(`${source}: ${key}: ${problem}`)',
    replace: 'oneLine(`${source}: bad configuration${key && problem ? "" : "."}`)',
    note: 'says that something is wrong, but not what',
  },
  {
    id: 'unknown-keys-ignored',
    kills: ['CFG-01'],
    file: configuration,
    find: 'if (!REQUIRED.includes(key) && !OPTIONAL.includes(key)) {',
    replace: "if (key === '') {",
    note: 'ignores keys that it does not know',
  },
  {
    id: 'unknown-parameters-ignored',
    kills: ['CFG-01'],
    file: configuration,
    find: 'if (!Object.hasOwn(PARAMETERS, name)) {',
    replace: "if (name === '') {",
    note: 'ignores parameters that it does not know',
  },
  {
    id: 'ranges-unchecked',
    kills: ['CFG-01'],
    file: configuration,
    find: 'if (!Number.isSafeInteger(value) || (value as number) < 1)',
    replace: "if (typeof value !== 'number')",
    note: 'takes any number for a count',
  },
  {
    id: 'zero-times-accepted',
    kills: ['CFG-01'],
    file: configuration,
    find: "if (value === 0 && rule.unit === 'seconds') complain",
    replace: "if (value === 0 && rule.unit === 'count') complain",
    note: 'takes an interval of 0',
  },
  {
    id: 'missing-keys-default',
    kills: ['CFG-01'],
    file: configuration,
    find: "for (const key of REQUIRED) if (!Object.hasOwn(raw, key)) complain(key, 'is missing');",
    replace: 'raw.advertise ??= raw.listen;\n  raw.bootstrap_nodes ??= [];',
    note: 'does without advertise and bootstrap_nodes',
  },
  {
    id: 'port-in-use-crash',
    kills: ['CFG-01'],
    file: 'node/shell/listener.ts',
    find: 'reject(new ConfigurationError(`${options.source}: listen: ${whyNot(error, options.endpoint)}`));',
    replace: 'reject(error);',
    note: 'ends with an exception where its port is in use',
  },
  {
    id: 'bootstrap-keys-unchecked',
    kills: ['CFG-01'],
    file: configuration,
    find: "if (typeof publicKey !== 'string' || !isKeyText(publicKey)) {",
    replace: "if (typeof publicKey !== 'string') {",
    note: 'takes any text as the key of a bootstrap node',
  },
  {
    id: 'integral-times-only',
    kills: ['CFG-01'],
    file: configuration,
    find: "if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)",
    replace: 'if (!Number.isInteger(value) || (value as number) < 0)',
    note: 'refuses times with a fraction',
  },
  {
    id: 'hosts-ignored',
    kills: ['CFG-02'],
    file: dialer,
    find: mapped,
    replace: 'const host = name;',
    note: 'does not look into `hosts`',
    ci: true,
  },
  {
    id: 'hosts-after-dns',
    kills: ['CFG-02'],
    file: dialer,
    find: mapped,
    replace: "const host = name === 'localhost' ? name : (options.hosts.get(name) ?? name);",
    note: 'looks into `hosts` only for names that DNS does not know',
  },
  {
    id: 'advertises-listen',
    kills: ['CFG-02'],
    file: configuration,
    find: "advertise: advertised(text(raw, 'advertise', complain), complain),",
    replace: "advertise: text(raw, 'advertise', complain) && String(raw.listen),",
    note: 'tells others the address on which it listens',
  },
  {
    id: 'advertise-in-lower-case',
    kills: ['CFG-02'],
    file: configuration,
    find: "advertise: advertised(text(raw, 'advertise', complain), complain),",
    replace: "advertise: advertised(text(raw, 'advertise', complain), complain).toLowerCase(),",
    note: 'tells its name in lower case',
  },
];
