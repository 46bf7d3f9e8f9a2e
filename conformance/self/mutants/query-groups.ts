/** Faults in how queries describe a group of commits: its mean, its agents, its logic, its time. */

import type { Mutant } from '../mutant.ts';

const query = 'node/core/query.ts';
const commits = 'node/core/commits.ts';

export const mutants: readonly Mutant[] = [
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
    id: 'query-mean-matching-only',
    kills: ['DIR-07'],
    file: query,
    find: 'for (const group of index.groups.values()) if (group.rows.some(isMatch)) found.push(group);',
    replace:
      'for (const group of index.groups.values()) {\n    const rows = rowsOf(index, group).filter(isMatch);\n    if (rows.length > 0) found.push({ ...group, rows, sorted: true });\n  }',
    note: 'describes a group by the commits that matched alone',
  },
];
