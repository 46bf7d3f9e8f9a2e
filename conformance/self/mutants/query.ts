/** Faults in which groups queries find, in which order, and how many of them they give. */

import type { Mutant } from '../mutant.ts';

const query = 'node/core/query.ts';
const commits = 'node/core/commits.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'query-limit-ignored',
    kills: ['DIR-07'],
    file: query,
    find: '    keepLeast(first, group, limit);',
    replace: '    keepLeast(first, group, largestLimit);',
    note: 'gives a hundred results whatever the limit',
  },
  {
    id: 'query-limit-uncapped',
    kills: ['DIR-07'],
    file: query,
    find: '  return limit > largestLimit ? largestLimit : Number(limit);',
    replace: '  return limit > 1e6 ? 1e6 : Number(limit);',
    note: 'gives more than a hundred results',
  },
  {
    id: 'query-limit-default-ten',
    kills: ['DIR-07'],
    file: query,
    find: '  if (limit === undefined) return largestLimit;',
    replace: '  if (limit === undefined) return 10;',
    note: 'gives ten results where no limit is given',
  },
  {
    id: 'query-limit-zero-all',
    kills: ['DIR-07'],
    file: query,
    find: '  if (limit === undefined) return largestLimit;',
    replace: '  if (limit === undefined || limit === 0) return largestLimit;',
    note: 'takes a limit of 0 for none',
  },
  {
    id: 'query-limit-large-refused',
    kills: ['DIR-07'],
    file: query,
    find: '  return limit > largestLimit ? largestLimit : Number(limit);',
    replace: '  return limit > largestLimit ? null : Number(limit);',
    note: 'refuses a limit above 100',
  },
  {
    id: 'query-total-after-limit',
    kills: ['DIR-07'],
    file: query,
    find: 'total_count: totalCount }',
    replace: 'total_count: first.length }',
    note: 'counts the groups after the limit',
  },
  {
    id: 'query-total-before-minimum',
    kills: ['DIR-07'],
    file: query,
    find: '    if (leastMean > Number.NEGATIVE_INFINITY && meanConfidence(index, group) < leastMean) continue;\n    totalCount++;',
    replace:
      '    totalCount++;\n    if (leastMean > Number.NEGATIVE_INFINITY && meanConfidence(index, group) < leastMean) continue;',
    note: 'counts the groups before min_confidence',
  },
  {
    id: 'query-agent-glob',
    kills: ['DIR-07'],
    file: query,
    find: '      const number = index.agents.numbers.get(wanted);\n      return number === undefined ? [] : groupsWith(index, (row) => index.agent[row] === number);',
    replace:
      '      const isMatch = compileGlob(wanted) ?? (() => false);\n      return groupsWith(index, (row) => isMatch(agentOfRow(index, row)));',
    note: 'takes an agent_id for a pattern',
  },
  {
    id: 'query-agent-case-blind',
    kills: ['DIR-07'],
    file: query,
    find: '      const number = index.agents.numbers.get(wanted);\n      return number === undefined ? [] : groupsWith(index, (row) => index.agent[row] === number);',
    replace:
      '      return groupsWith(index, (row) => agentOfRow(index, row).toLowerCase() === wanted.toLowerCase());',
    note: 'does not tell upper from lower case in agent ids',
  },
  {
    id: 'query-order-of-arrival',
    kills: ['DIR-07'],
    file: query,
    find: '  while (place > 0 && first[place - 1]!.ruleHash > group.ruleHash) place--;\n',
    replace: '',
    note: 'gives results in order of arrival',
  },
  {
    id: 'query-order-descending',
    kills: ['DIR-07'],
    file: query,
    find: '  return { ...answer, results };',
    replace: '  return { ...answer, results: results.reverse() };',
    note: 'gives results in descending order',
  },
  {
    id: 'query-min-exclusive',
    kills: ['DIR-07'],
    file: query,
    find: 'meanConfidence(index, group) < leastMean',
    replace: 'meanConfidence(index, group) <= leastMean',
    note: 'leaves out a group whose mean is min_confidence',
  },
  {
    id: 'query-min-of-best',
    kills: ['DIR-07'],
    file: query,
    find: 'meanConfidence(index, group) < leastMean',
    replace: 'Math.max(...group.rows.map((row) => index.confidence[row]!)) < leastMean',
    note: 'compares min_confidence with the best commit',
  },
  {
    id: 'query-min-ignored',
    kills: ['DIR-07'],
    file: query,
    find: 'meanConfidence(index, group) < leastMean',
    replace: 'meanConfidence(index, group) < -1',
    note: 'ignores min_confidence',
  },
  {
    id: 'query-challenged-hidden',
    kills: ['DIR-07'],
    file: query,
    find: '      const group = index.groups.get(wanted);\n      return group ? [group] : [];',
    replace:
      '      const group = index.groups.get(wanted);\n      return group && !challenged.has(wanted) ? [group] : [];',
    also: [
      {
        file: query,
        find: 'const largestLimit = 100;',
        replace: "const largestLimit = 100;\nimport { challenged } from './commits.ts';",
      },
      {
        file: commits,
        find: "  if (item.type !== 'commit') return;",
        replace:
          "  if (item.type === 'challenge') challenged.add(String(item.payload.target_rule_hash));\n  if (item.type !== 'commit') return;",
      },
      {
        file: commits,
        find: '/** Adds a valid commit that',
        replace: 'export const challenged = new Set<string>();\n/** Adds a valid commit that',
      },
    ],
    note: 'hides a rule that was challenged',
  },
  {
    id: 'query-others-judged',
    kills: ['DIR-07'],
    file: query,
    find: '  const least = filters.min_confidence;',
    replace:
      "  if ((filters.agent_id ?? '') !== String(filters.agent_id ?? '')) return refuse('MALFORMED', 'filters.agent_id');\n  const least = filters.min_confidence;",
    note: 'judges filters that the query type does not name',
    mayBreak: ['DIR-08'],
  },
  {
    id: 'query-others-applied',
    kills: ['DIR-07'],
    file: query,
    find: '    totalCount++;',
    replace:
      '    const { agent_id: agent } = filters;\n    if (agent !== undefined && !group.rows.some((row) => agentOfRow(index, row) === agent)) continue;\n    totalCount++;',
    note: 'applies all filters together',
  },
  {
    id: 'query-hash-form-judged',
    kills: ['DIR-07'],
    file: query,
    find: '      const group = index.groups.get(wanted);',
    replace:
      "      if (!/^rule_[0-9a-f]{16,64}$/.test(wanted)) return refuse('MALFORMED', 'filters.rule_hash');\n      const group = index.groups.get(wanted);",
    note: 'refuses a rule_hash that is none',
    mayBreak: ['*'],
  },
  {
    id: 'query-hash-prefix',
    kills: ['DIR-07'],
    file: query,
    find: '      const group = index.groups.get(wanted);\n      return group ? [group] : [];',
    replace:
      "      return [...index.groups.values()].filter((group) => wanted !== '' && group.ruleHash.startsWith(wanted));",
    note: 'finds rules by the beginning of their hash',
  },
  {
    id: 'query-cut-by-one',
    kills: ['DIR-07'],
    file: query,
    find: '    if (bytes > maxPayloadBytes) break;',
    replace: '    if (bytes > maxPayloadBytes - 30_000) break;',
    note: 'gives one result less than would fit',
  },
  {
    id: 'query-cut-refused',
    kills: ['DIR-07'],
    file: query,
    find: '  return fitting(index, first, {',
    replace:
      "  if (first.reduce((sum, group) => sum + logicOfRow(index, group.rows[0]!).length, 0) > maxPayloadBytes) return refuse('TOO_LARGE', 'results');\n  return fitting(index, first, {",
    note: 'refuses a query whose results do not fit',
  },
];
