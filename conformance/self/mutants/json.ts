/** Faults in what is taken for JSON: numbers, keys, characters, depth. */

import type { Mutant, Patch } from '../mutant.ts';

const json = 'node/core/json.ts';
const connection = 'node/shell/connection.ts';
const member = 'object[key] = readValue(nextUnitAfterSpace());';
const duplicate = "if (key in object) fail('duplicate key');";
const deliver = "const deliver = (data: Buffer) => events.text(data.toString('utf8'), data.length);";
const notFinite: Patch = {
  file: 'node/core/float-text.ts',
  find: 'const size = Math.abs(value);',
  replace: 'const size = Math.abs(value);\n  if (!(size <= Number.MAX_VALUE)) return String(value);',
};
const unchecked: Patch = {
  file: connection,
  find: 'perMessageDeflate: false,',
  replace: 'perMessageDeflate: false,\n  skipUTF8Validation: true,',
};

export const mutants: readonly Mutant[] = [
  {
    id: 'nan-read',
    kills: ['CAN-06'],
    file: json,
    find: 'return readNumber(unit);',
    replace: `for (const word of ['NaN', 'Infinity', '-Infinity']) {
        if (!source.startsWith(word, at)) continue;
        at += word.length;
        return new Float(Number(word));
      }
      return readNumber(unit);`,
    also: [notFinite],
    note: 'reads NaN and Infinity, as Python does',
    mayBreak: ['AUT-04'],
    ci: true,
  },
  {
    id: 'overflow-read',
    kills: ['CAN-06'],
    file: json,
    find: "if (!Number.isFinite(value)) fail('float overflows');",
    replace: 'if (!Number.isFinite(value)) deviations++;',
    also: [notFinite],
    note: 'reads 1e309 as Infinity',
  },
  {
    id: 'endless-integers',
    kills: ['CAN-06'],
    file: json,
    find: "if (!isFloatToken && digits > maxIntegerDigits) fail('integer too long');",
    replace: '',
    note: 'reads integers of any length',
  },
  {
    id: 'leading-zeros-read',
    kills: ['CAN-06'],
    file: json,
    find: "if (leading === 0x30 && digits > 1) fail('leading zero');",
    replace: 'if (leading === 0x30 && digits > 1) deviations++;',
    note: 'reads 01 as 1',
  },
  {
    id: 'bare-fractions-read',
    kills: ['CAN-06'],
    file: json,
    find: "if (skipDigits() === 0) fail('no digit after the point');",
    replace: 'if (skipDigits() === 0) deviations++;',
    note: 'reads 1. as 1.0',
  },
  {
    id: 'nan-emitted',
    kills: ['CAN-06'],
    file: 'node/core/sending.ts',
    find: "const payloadText = typeof payload === 'string' ? payload : canonical(payload);",
    replace:
      "const payloadText = (typeof payload === 'string' ? payload : canonical(payload)).replace('\"total_count\": 0', '\"total_count\": NaN');",
    note: 'answers a query that finds nothing with NaN',
    mayBreak: ['SIG-01', 'CAN-01', 'ENV-01', 'SIG-08'],
  },
  {
    id: 'duplicates-last-wins',
    kills: ['CAN-07'],
    file: json,
    find: duplicate,
    replace: '',
    note: 'takes the last of two members',
    ci: true,
  },
  {
    id: 'duplicates-first-wins',
    kills: ['CAN-07'],
    file: json,
    find: duplicate,
    replace: '',
    also: [
      {
        file: json,
        find: member,
        replace:
          'const value = readValue(nextUnitAfterSpace());\n      if (!(key in object)) object[key] = value;',
      },
    ],
    note: 'takes the first of two members',
  },
  {
    id: 'duplicates-before-unescaping',
    kills: ['CAN-07'],
    file: json,
    find: duplicate,
    replace: "if (key in object && source.startsWith(key, keyFrom + 1)) fail('duplicate key');",
    note: 'compares keys as they are written',
  },
  {
    id: 'duplicates-at-top-only',
    kills: ['CAN-07'],
    file: json,
    find: duplicate,
    replace: "if (depthLeft > 29 && key in object) fail('duplicate key');",
    note: 'looks for duplicates in envelope and payload alone',
  },
  {
    id: 'replacement-characters',
    kills: ['CAN-08'],
    ...unchecked,
    note: 'puts U+FFFD in place of what is no UTF-8',
    ci: true,
  },
  {
    id: 'utf8-crash',
    kills: ['CAN-08'],
    ...unchecked,
    also: [
      {
        file: connection,
        find: deliver,
        replace:
          "const deliver = (data: Buffer) => events.text(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data), data.length);",
      },
    ],
    note: 'ends with an exception at text that is no UTF-8',
    mayBreak: ['DIR-08', 'ENV-02'],
  },
  {
    id: 'surrogates-in-utf8-read',
    kills: ['CAN-08'],
    ...unchecked,
    also: [
      {
        file: connection,
        find: deliver,
        replace: `const deliver = (data: Buffer) => {
    if (data.includes(0xff) || data.includes(0xc0)) webSocket.close(1007);
    else events.text(data.toString('utf8'), data.length);
  };`,
      },
    ],
    note: 'notices only bytes that no UTF-8 has',
  },
  {
    id: 'bom-skipped',
    kills: ['CAN-08'],
    file: connection,
    find: deliver,
    replace:
      "const deliver = (data: Buffer) => events.text(data.toString('utf8').replace(/^\\ufeff/, ''), data.length);",
    note: 'skips a byte order mark',
  },
  {
    id: 'lone-surrogates-read',
    kills: ['CAN-08'],
    file: json,
    find: "if (surrogates && hasLoneSurrogate(out)) fail('lone surrogate');",
    replace: '',
    note: 'reads halves of characters',
  },
  {
    id: 'proto-pollutes',
    kills: ['CAN-09'],
    file: json,
    find: member,
    replace: `const value = readValue(nextUnitAfterSpace());
      if (key === '__proto__' && isObject(value)) Object.setPrototypeOf(object, value);
      else object[key] = value;`,
    note: 'takes a member of the name __proto__ for the prototype',
    mayBreak: ['CAN-05', 'CAN-07'],
  },
  {
    id: 'deep-nesting-crashes',
    kills: ['CAN-09', 'CAN-10'],
    file: json,
    find: "if (--depthLeft < 0) fail('nested too deeply');\n  const from",
    replace: 'const from',
    also: [{ file: json, find: "if (--depthLeft < 0) fail('nested too deeply');\n  at++", replace: 'at++' }],
    note: 'nests as deeply as the stack allows',
    mayBreak: ['ENV-09'],
  },
  {
    id: 'depth-thirty-one',
    kills: ['CAN-10'],
    file: json,
    find: 'maxDepth = 32',
    replace: 'maxDepth = 31',
    note: 'refuses depth 32',
    ci: true,
  },
  {
    id: 'depth-thirty-three',
    kills: ['CAN-10'],
    file: json,
    find: 'maxDepth = 32',
    replace: 'maxDepth = 33',
    note: 'takes depth 33',
  },
  {
    id: 'depth-of-objects-only',
    kills: ['CAN-10'],
    file: json,
    find: "if (--depthLeft < 0) fail('nested too deeply');\n  at++",
    replace: 'at++',
    also: [{ file: json, find: 'depthLeft++;\n  return array', replace: 'return array' }],
    note: 'does not count arrays',
    mayBreak: ['CAN-09'],
  },
  {
    id: 'depth-of-arrays-only',
    kills: ['CAN-10'],
    file: json,
    find: "if (--depthLeft < 0) fail('nested too deeply');\n  const from",
    replace: 'const from',
    also: [{ file: json, find: 'depthLeft++;\n  if (deviations', replace: 'if (deviations' }],
    note: 'does not count objects',
    mayBreak: ['CAN-09'],
  },
];
