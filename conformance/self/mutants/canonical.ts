/** Faults in the canonical form: what is signed, and how values are printed. */

import type { Mutant } from '../mutant.ts';

const canonical = 'node/core/canonical.ts';
const floats = 'node/core/float-text.ts';
const json = 'node/core/json.ts';
const sending = 'node/core/sending.ts';
const sealed = 'const signature = encodeBase64(node.world.sign(asciiBytes(head + tail)));';
const always = 'if (deviations === deviationsBefore) {';
const plainChecks =
  'if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return `"${escaped(text, i)}"`;';
const escapedChecks = 'if (unit >= 0x20 && unit <= 0x7e && unit !== 0x22 && unit !== 0x5c) continue;';
const sorting = 'if (keys.length > 16) return keys.sort(comparePoints);';

export const mutants: readonly Mutant[] = [
  {
    id: 'signs-compact-form',
    kills: ['CAN-01'],
    file: sending,
    find: sealed,
    replace:
      "const signature = encodeBase64(node.world.sign(asciiBytes((head + tail).replaceAll('\": ', '\":').replaceAll(', \"', ',\"'))));",
    note: 'signs without the spaces behind separators',
    mayBreak: ['SIG-01', 'HSK-01'],
  },
  {
    id: 'signs-raw-utf8',
    kills: ['CAN-01'],
    file: sending,
    find: sealed,
    replace: `const unescaped = (head + tail).replace(/\\\\u([0-9a-f]{4})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  const signature = encodeBase64(node.world.sign(Buffer.from(unescaped, 'utf8')));`,
    note: 'signs UTF-8 in place of escapes: seen only where a text is not ASCII',
    mayBreak: ['SIG-01'],
    ci: true,
  },
  {
    id: 'signs-payload-alone',
    kills: ['CAN-01'],
    file: sending,
    find: sealed,
    replace: 'const signature = encodeBase64(node.world.sign(asciiBytes(payloadText)));',
    note: 'signs the payload alone',
    mayBreak: ['SIG-01'],
  },
  {
    id: 'signs-empty-signature-member',
    kills: ['CAN-01'],
    file: sending,
    find: sealed,
    replace:
      'const signature = encodeBase64(node.world.sign(asciiBytes(`${head}"signature": "", ${tail}`)));',
    note: 'signs with an empty signature in its place',
    mayBreak: ['SIG-01'],
  },
  {
    id: 'verifies-raw-bytes',
    kills: ['CAN-02'],
    file: json,
    find: always,
    replace: 'if (deviations >= 0) {',
    note: 'verifies the bytes as they came',
    mayBreak: ['CAN-03', 'CAN-04', 'CAN-05', 'SIG-03'],
  },
  {
    id: 'verifies-in-wire-order',
    kills: ['CAN-02'],
    file: canonical,
    find: sorting,
    replace: 'if (keys.length > 0) return keys;',
    note: 'does not sort keys',
    mayBreak: ['CAN-03', 'CAN-04', 'CAN-05', 'CAN-01', 'SIG-01'],
    ci: true,
  },
  {
    id: 'verifies-nested-in-wire-order',
    kills: ['CAN-02'],
    file: canonical,
    find: 'const keys = sortedKeys(object);\n  return `{',
    replace: 'const keys = Object.keys(object);\n  return `{',
    note: 'sorts the keys of the outermost object alone',
    mayBreak: ['CAN-03', 'CAN-04', 'CAN-05', 'CAN-01', 'SIG-01'],
  },
  {
    id: 'floats-as-integers',
    kills: ['CAN-03'],
    file: floats,
    find: 'return Number.isInteger(value) ? `${text}.0` : text;',
    replace: 'return text;',
    note: 'prints 1.0 as 1',
    mayBreak: ['CAN-05', 'CAN-02', 'CKP-10'],
    ci: true,
  },
  {
    id: 'floats-as-javascript',
    kills: ['CAN-03'],
    file: floats,
    find: "return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;",
    replace: 'return digits && exponent ? String(value) : text(value);',
    also: [
      { file: floats, find: "/** CPython's `repr`", replace: "const text = String;\n/** CPython's `repr`" },
    ],
    note: 'prints small and great floats as JavaScript does',
  },
  {
    id: 'floats-positional-to-1e21',
    kills: ['CAN-03'],
    file: floats,
    find: 'size < 1e16',
    replace: 'size < 1e21',
    note: 'prints 1e16 in full',
  },
  {
    id: 'minus-zero-lost',
    kills: ['CAN-03'],
    file: floats,
    find: "'-0.0' : '0.0'",
    replace: "'0.0' : '0.0'",
    note: 'prints -0.0 as 0.0',
    mayBreak: ['CAN-01'],
  },
  {
    id: 'big-integers-rounded',
    kills: ['CAN-03'],
    file: json,
    find: 'Number.isSafeInteger(value) ? value : BigInt(token)',
    replace: 'Number.isSafeInteger(value) ? value : BigInt(Number.isFinite(value) ? value : token)',
    note: 'reads integers as doubles',
  },
  {
    id: 'long-integers-refused',
    kills: ['CAN-03'],
    file: json,
    find: 'const maxIntegerDigits = 4300;',
    replace: 'const maxIntegerDigits = 300;',
    note: 'refuses integers beyond the doubles',
  },
  {
    id: 'floats-of-fifteen-digits',
    kills: ['CAN-03'],
    file: floats,
    find: 'const text = String(value);',
    replace: 'const text = String(Number(value.toPrecision(15)));',
    note: 'prints floats with 15 digits',
    mayBreak: ['CAN-01', 'SIG-01', 'AUT-04'],
  },
  {
    id: 'del-unescaped',
    kills: ['CAN-04'],
    file: canonical,
    find: plainChecks,
    replace: plainChecks.replace('0x7e', '0x7f'),
    also: [{ file: canonical, find: escapedChecks, replace: escapedChecks.replace('0x7e', '0x7f') }],
    note: 'does not escape U+007F',
    mayBreak: ['CAN-05', 'CAN-01', 'CAN-02'],
    ci: true,
  },
  {
    id: 'escapes-in-capitals',
    kills: ['CAN-04'],
    file: canonical,
    find: "unit.toString(16).padStart(4, '0')",
    replace: "unit.toString(16).toUpperCase().padStart(4, '0')",
    note: 'writes the digits of escapes in capitals',
    mayBreak: ['CAN-05', 'CAN-01', 'CAN-02', 'GAL-08'],
  },
  {
    id: 'slash-escaped',
    kills: ['CAN-04'],
    file: canonical,
    find: plainChecks,
    replace: plainChecks.replace('unit < 0x20', 'unit === 0x2f || unit < 0x20'),
    also: [
      {
        file: canonical,
        find: escapedChecks,
        replace: escapedChecks.replace('unit >= 0x20', 'unit !== 0x2f && unit >= 0x20'),
      },
      { file: canonical, find: "  34: '\\\\\"',", replace: "  34: '\\\\\"',\n  47: '\\\\/'," },
    ],
    note: 'escapes the slash, as PHP does',
    mayBreak: ['CAN-01', 'CAN-02', 'CAN-03', 'CAN-05', 'SIG-01', 'DIR-07'],
  },
  {
    id: 'html-escaped',
    kills: ['CAN-04'],
    file: canonical,
    find: plainChecks,
    replace: plainChecks.replace('unit < 0x20', '[0x26, 0x3c, 0x3e].includes(unit) || unit < 0x20'),
    also: [
      {
        file: canonical,
        find: escapedChecks,
        replace: escapedChecks.replace('unit >= 0x20', '![0x26, 0x3c, 0x3e].includes(unit) && unit >= 0x20'),
      },
    ],
    note: 'escapes <, > and &, as Go does',
    mayBreak: ['CAN-01', 'CAN-02'],
  },
  {
    id: 'short-escapes-unknown',
    kills: ['CAN-04'],
    file: canonical,
    find: "  8: '\\\\b',\n",
    replace: '',
    also: [{ file: canonical, find: "  12: '\\\\f',\n", replace: '' }],
    note: 'writes backspace and form feed as \\u escapes',
  },
  {
    id: 'strings-normalised',
    kills: ['CAN-04'],
    file: canonical,
    find: 'function quoted(text: string): string {',
    replace: "function quoted(given: string): string {\n  const text = given.normalize('NFC');",
    note: 'normalises strings',
    mayBreak: ['CAN-05'],
  },
  {
    id: 'keys-by-utf-16',
    kills: ['CAN-05'],
    file: canonical,
    find: 'if (left !== right) return pointRank(left) - pointRank(right);',
    replace: 'if (left !== right) return left - right || pointRank(left);',
    note: "sorts keys as JavaScript's sort() does",
    ci: true,
  },
  {
    id: 'keys-numbers-first',
    kills: ['CAN-05'],
    file: canonical,
    find: sorting,
    replace: `const isIndex = (key: string) => /^(0|[1-9][0-9]*)$/.test(key);
  const indices = keys.filter(isIndex);
  if (indices.length > 0) return [...indices.sort((a, b) => Number(a) - Number(b)), ...keys.filter((key) => !isIndex(key)).sort(comparePoints)];
  ${sorting}`,
    note: 'puts keys that are numbers first and in their order, as objects of JavaScript do',
  },
  {
    id: 'keys-by-locale',
    kills: ['CAN-05'],
    file: canonical,
    find: sorting,
    replace: 'if (keys.length > 0) return keys.sort((a, b) => a.localeCompare(b));',
    note: 'sorts keys as people of some language do',
    mayBreak: ['CAN-02', 'CAN-01', 'SIG-01'],
  },
  {
    id: 'keys-without-case',
    kills: ['CAN-05'],
    file: canonical,
    find: sorting,
    replace:
      'if (keys.length > 0) return keys.sort((a, b) => comparePoints(a.toLowerCase(), b.toLowerCase()));',
    note: 'sorts keys without regard to case',
  },
  {
    id: 'proto-lost',
    kills: ['CAN-05', 'CAN-09'],
    file: json,
    find: 'object[key] = readValue(nextUnitAfterSpace());',
    replace:
      "const member = readValue(nextUnitAfterSpace());\n      if (key !== '__proto__') object[key] = member;\n      else deviations++;",
    note: 'loses a member of the name __proto__',
  },
];
