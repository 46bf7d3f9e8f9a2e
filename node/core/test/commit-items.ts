/** Commits as far as the index looks at them, and an index over some. Knows no query. */
import { canonical } from '../canonical.ts';
import { addCommit, type CommitIndex, createCommitIndex, textsOf } from '../commits.ts';
import type { Item } from '../item.ts';
import { float, parse } from '../json.ts';
import type { ItemType, JsonObject } from '../types.ts';
import { sha256 } from './fixtures/test-authority.ts';

interface Commit {
  rule: string;
  agent: string;
  confidence: number;
  context: string;
  logic: string;
  timestamp: number;
}

let serial = 0;

/** A hash that nothing else has. */
export const freshHash = (what: string) => sha256(`${what} ${serial++}`);

export function commitItem(commit: Partial<Commit> = {}, type: ItemType = 'commit'): Item {
  const hash = freshHash('commit');
  const payload: JsonObject = {
    rule_hash: `rule_${commit.rule ?? '0'.repeat(16)}`,
    logic_signature: commit.logic ?? 'p',
    context_signature: commit.context ?? 'c',
    confidence: float(commit.confidence ?? 0.5),
    evidence_count: 1,
    metadata: {},
  };
  const timestamp = commit.timestamp ?? 1_700_000_000;
  const object: JsonObject = { timestamp: float(timestamp), payload };
  return {
    hash,
    type,
    object,
    bytes: Buffer.from(canonical(object)),
    timestamp,
    agentId: commit.agent ?? 'agent_1',
    nodeId: 'node_x',
    payload,
    certificateBase64: '',
  };
}

export function indexOf(items: readonly Item[]): CommitIndex {
  const store = new Map(items.map((item) => [item.hash, item.bytes]));
  const index = createCommitIndex((hash) => textsOf(parse(Buffer.from(store.get(hash)!).toString())));
  for (const item of items) addCommit(index, item);
  return index;
}

export const rule = (i: number) => i.toString(16).padStart(16, '0');
