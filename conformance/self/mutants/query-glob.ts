/** Faults in how patterns of queries match. */

import type { Mutant } from '../mutant.ts';

const glob = 'node/core/glob.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'query-agent-prefix',
    kills: ['DIR-07'],
    file: 'node/core/query.ts',
    find: 'const number = index.agents.numbers.get(wanted);',
    replace:
      'const number = index.agents.numbers.get(index.agents.list.find((agent) => agent.startsWith(wanted)) ?? wanted);',
    note: 'takes the beginning of an agent id for the whole',
  },
  {
    id: 'query-regex',
    kills: ['DIR-07'],
    file: glob,
    find: '  return matcher(points);',
    replace:
      "  const source = '^' + pattern.replaceAll('*', '.*').replaceAll('?', '.') + '$';\n  let expression = /$^/u;\n  try {\n    expression = new RegExp(source, 'us');\n  } catch {}\n  return (text) => expression.test(text);",
    note: 'takes a pattern for a regular expression',
    mayBreak: ['DIR-09'],
    ci: true,
  },
  {
    id: 'query-sets',
    kills: ['DIR-07'],
    file: glob,
    find: '  return matcher(points);',
    replace:
      "  const source = Array.from(pattern, (sign) => (sign === '*' ? '.*' : sign === '?' ? '.' : '[]'.includes(sign) ? sign : sign.replace(/[.+^$()|{}\\\\/-]/g, '\\\\$&'))).join('');\n  let expression = /$^/u;\n  try {\n    expression = new RegExp('^' + source + '$', 'us');\n  } catch {}\n  return (text) => expression.test(text);",
    note: 'takes [ab] for a set, as file globs do',
    mayBreak: ['DIR-09'],
  },
  {
    id: 'query-case-blind',
    kills: ['DIR-07'],
    file: glob,
    find: 'export function compileGlob(pattern: string): ((text: string) => boolean) | null {',
    replace:
      'export function compileGlob(pattern: string): ((text: string) => boolean) | null {\n  const inner = compileExactly(pattern.toLowerCase());\n  return inner && ((text) => inner(text.toLowerCase()));\n}\nfunction compileExactly(pattern: string): ((text: string) => boolean) | null {',
    note: 'does not tell upper from lower case in contexts',
  },
  {
    id: 'query-part-of-text',
    kills: ['DIR-07'],
    file: glob,
    find: '  return matcher(points);',
    replace: '  return matcher([star, ...points, star]);',
    note: 'finds a pattern anywhere in a context',
  },
  {
    id: 'query-prefix-of-text',
    kills: ['DIR-07'],
    file: glob,
    find: '  return matcher(points);',
    replace: '  return matcher([...points, star]);',
    note: 'finds a pattern at the beginning of a context',
  },
  {
    id: 'query-question-unit',
    kills: ['DIR-07'],
    file: glob,
    find: '    const point = text.codePointAt(at)!;',
    replace: '    const point = text.charCodeAt(at);',
    also: [
      {
        file: glob,
        find: '  const points = Array.from(pattern, (character) => character.codePointAt(0)!);',
        replace: "  const points = pattern.split('').map((unit) => unit.charCodeAt(0));",
      },
    ],
    note: 'lets ? stand for half of an astral character',
    mayBreak: ['DIR-09'],
  },
  {
    id: 'query-question-no-line-feed',
    kills: ['DIR-07'],
    file: glob,
    find: 'if (piece[i] !== questionMark && piece[i] !== points[from + i]) return false;',
    replace:
      'if (piece[i] === questionMark ? points[from + i] === 10 : piece[i] !== points[from + i]) return false;',
    also: [
      {
        file: glob,
        find: 'masks.get(points[at]!) ?? anywhere;',
        replace: 'masks.get(points[at]!) ?? (points[at] === 10 ? new Int32Array(words) : anywhere);',
      },
    ],
    note: 'does not let ? stand for a line feed',
  },
  {
    id: 'query-question-optional',
    kills: ['DIR-07'],
    file: glob,
    find: '  return matcher(points);',
    replace:
      '  const [whole, shorter] = [points, points.filter((point) => point !== questionMark)].map(matcher);\n  return (text) => whole!(text) || shorter!(text);',
    note: 'lets ? stand for nothing',
  },
  {
    id: 'query-star-stops-at-slash',
    kills: ['DIR-07'],
    file: glob,
    find: '  return matcher(points);',
    replace:
      '  const isMatch = matcher(points);\n  return (text) => isMatch(text) && (!points.includes(star) || (text.match(/\\//g)?.length ?? 0) <= points.filter((point) => point === 0x2f).length);',
    note: 'does not let * go beyond a slash',
  },
  {
    id: 'query-star-not-empty',
    kills: ['DIR-07'],
    file: glob,
    find: '  return matcher(points);',
    replace:
      '  const full = points.flatMap((point) => (point === star ? [questionMark, star] : [point]));\n  return matcher(full);',
    note: 'does not let * stand for nothing',
  },
  {
    id: 'query-backslash-escapes',
    kills: ['DIR-07'],
    file: glob,
    find: '  return matcher(points);',
    replace:
      "  const escaped = pattern.includes('\\\\*') ? pattern.replaceAll('\\\\*', '*') : null;\n  const isMatch = matcher(points);\n  return (text) => (escaped === null ? isMatch(text) : text === escaped);",
    note: 'takes a backslash before a star for an escape',
  },
  {
    id: 'query-normalised',
    kills: ['DIR-07'],
    file: glob,
    find: 'export function compileGlob(pattern: string): ((text: string) => boolean) | null {',
    replace:
      "export function compileGlob(pattern: string): ((text: string) => boolean) | null {\n  const inner = compileExactly(pattern.normalize('NFC'));\n  return inner && ((text) => inner(text.normalize('NFC')));\n}\nfunction compileExactly(pattern: string): ((text: string) => boolean) | null {",
    note: 'normalises texts before it compares them',
  },
];
