/** Faults in what queries find and how it is described. */

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
    id: 'query-mean-per-agent',
    kills: ['DIR-07'],
    file: query,
    find: '  let sum = 0;\n  const rows = rowsOf(index, group);\n  for (const row of rows) sum += index.confidence[row]!;\n  return sum / rows.length;',
    replace:
      '  const perAgent = new Map<string, number[]>();\n  for (const row of rowsOf(index, group)) {\n    const agent = agentOfRow(index, row);\n    perAgent.set(agent, [...(perAgent.get(agent) ?? []), index.confidence[row]!]);\n  }\n  const means = [...perAgent.values()].map((all) => all.reduce((a, b) => a + b, 0) / all.length);\n  return means.reduce((a, b) => a + b, 0) / means.length;',
    note: 'takes the mean of the agents’ means',
  },
  {
    id: 'query-mean-arrival',
    kills: ['DIR-07'],
    file: query,
    find: '  let sum = 0;\n  const rows = rowsOf(index, group);\n  for (const row of rows) sum += index.confidence[row]!;\n  return sum / rows.length;',
    replace:
      '  let sum = 0;\n  const rows = [...rowsOf(index, group)].sort((a, b) => a - b);\n  for (const row of rows) sum += index.confidence[row]!;\n  return sum / rows.length;',
    note: 'adds confidences in order of arrival',
  },
  {
    id: 'query-mean-compensated',
    kills: ['DIR-07'],
    file: query,
    find: '  let sum = 0;\n  const rows = rowsOf(index, group);\n  for (const row of rows) sum += index.confidence[row]!;\n  return sum / rows.length;',
    replace:
      '  const rows = rowsOf(index, group);\n  let sum = 0;\n  let lost = 0;\n  for (const row of rows) {\n    const value = index.confidence[row]!;\n    const next = sum + value;\n    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;\n    sum = next;\n  }\n  return (sum + lost) / rows.length;',
    note: 'adds confidences with compensation, as Python 3.12 does',
  },
  {
    id: 'query-mean-rounded',
    kills: ['DIR-07'],
    file: query,
    find: 'confidence: float(meanConfidence(index, group)),',
    replace: 'confidence: float(Math.round(meanConfidence(index, group) * 1e6) / 1e6),',
    note: 'rounds the mean to six digits',
  },
  {
    id: 'query-best-for-mean',
    kills: ['DIR-07'],
    file: query,
    find: '  let sum = 0;\n  const rows = rowsOf(index, group);\n  for (const row of rows) sum += index.confidence[row]!;\n  return sum / rows.length;',
    replace: '  return Math.max(...rowsOf(index, group).map((row) => index.confidence[row]!));',
    note: 'gives the greatest confidence for the mean',
  },
  {
    id: 'query-agents-repeated',
    kills: ['DIR-07'],
    file: query,
    find: 'supporting_agents: [...agents].sort(),',
    replace: 'supporting_agents: rows.map((row) => agentOfRow(index, row)).sort(),',
    note: 'lists an agent once per commit',
  },
  {
    id: 'query-agents-unsorted',
    kills: ['DIR-07'],
    file: query,
    find: 'supporting_agents: [...agents].sort(),',
    replace: 'supporting_agents: [...agents].sort((a, b) => a.toLowerCase().localeCompare(b.toLowerCase())),',
    note: 'sorts agents as a dictionary does',
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
    id: 'query-logic-first',
    kills: ['DIR-07'],
    file: query,
    find: 'logic_signature: logicOfRow(index, rows[0]!),',
    replace: 'logic_signature: logicOfRow(index, Math.min(...rows)),',
    note: 'gives the logic that came first',
  },
  {
    id: 'query-logic-latest',
    kills: ['DIR-07'],
    file: query,
    find: 'logic_signature: logicOfRow(index, rows[0]!),',
    replace: 'logic_signature: logicOfRow(index, Math.max(...rows)),',
    note: 'gives the logic that came last',
  },
  {
    id: 'query-created-first',
    kills: ['DIR-07'],
    file: query,
    find: '    createdAt = Math.min(createdAt, index.timestamp[row]!);',
    replace: '    createdAt = index.timestamp[Math.min(...rows)]!;',
    note: 'gives the time of the commit that came first',
  },
  {
    id: 'query-created-latest',
    kills: ['DIR-07'],
    file: query,
    find: '    createdAt = Math.min(createdAt, index.timestamp[row]!);',
    replace:
      '    createdAt = Math.max(createdAt === Number.POSITIVE_INFINITY ? 0 : createdAt, index.timestamp[row]!);',
    note: 'gives the time of the latest commit',
  },
  {
    id: 'query-created-whole',
    kills: ['DIR-07'],
    file: query,
    find: 'created_at: float(createdAt),',
    replace: 'created_at: Math.floor(createdAt),',
    note: 'cuts created_at to whole seconds',
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
    id: 'query-confirms-counted',
    kills: ['DIR-07'],
    file: query,
    find: 'confidence: float(meanConfidence(index, group)),',
    replace:
      'confidence: float(Math.max(0, meanConfidence(index, group) + (deltas.get(group.ruleHash) ?? 0))),',
    also: [
      {
        file: query,
        find: 'const largestLimit = 100;',
        replace: "const largestLimit = 100;\nimport { deltas } from './commits.ts';",
      },
      {
        file: commits,
        find: "  if (item.type !== 'commit') return;",
        replace:
          "  if (item.type === 'confirm') deltas.set(String(item.payload.rule_hash), numberOf(item.payload.confidence_delta as number));\n  if (item.type !== 'commit') return;",
      },
      {
        file: commits,
        find: '/** Adds a valid commit that',
        replace: 'export const deltas = new Map<string, number>();\n/** Adds a valid commit that',
      },
    ],
    note: 'lets confirms change the confidence',
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
  {
    id: 'query-mean-matching-only',
    kills: ['DIR-07'],
    file: query,
    find: 'for (const group of index.groups.values()) if (group.rows.some(isMatch)) found.push(group);',
    replace:
      'for (const group of index.groups.values()) {\n    const rows = rowsOf(index, group).filter(isMatch);\n    if (rows.length > 0) found.push({ ...group, rows, sorted: true });\n  }',
    note: 'describes a group by the commits that matched alone',
  },
];
