/** § 8.1, 6 and 6.2 Items on their author's connection, which bodies are items at all, and how agents are counted. */

import { type Certificate, type CertificateOptions, createAuthority } from '../../harness/wire/authority.ts';
import { encodeBase64 } from '../../harness/wire/base64.ts';
import { commitOfDepth, commitOfSize, type Item, ruleHash } from '../../harness/wire/items.ts';
import { type Json, type JsonObject, readable } from '../../harness/wire/json.ts';
import { stateRoot } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import { accepted, answerTo, refusedWithTwin, stillServed } from '../expect.ts';
import { type Candidate, envelopes, payloads } from '../near-misses.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { relayed } from '../relayed.ts';
import { fail, inconclusive, pass, type Requirement } from '../requirement.ts';
import { checkpointOf, heldOf } from '../states.ts';
import type { NodeUnderTest } from '../target.ts';

const now = (): number => Math.floor(Date.now() / 1000);
const hour = 3_600;
const text = (certificate: Certificate): string => encodeBase64(certificate.der);

export const rows: readonly Requirement[] = [
  {
    id: 'AUT-03',
    level: 'must',
    section: '8.1',
    role: 's',
    quote: 'a certificate that does not prove the author: `INVALID_SIGNATURE`',
    reading:
      'On a connection an item whose certificate is another node’s, another agent’s, out of time or no DER is INVALID_SIGNATURE, one without a certificate MALFORMED; it has no effect and the connection stays.',
    ruling: 'Profile §6, check 11: "no `certificate` string: `MALFORMED`".',
    mutants: [
      'own-item-certificate-unread',
      'own-item-certificate-code',
      'author-key-uncompared',
      'author-agent-uncompared',
      'author-trailing-bytes',
    ],
    needs: [],
    durationHintMs: 2_000,
    cpu: 0.4,
    test: async (bench) => {
      const node = await bench.node();
      const observer = await (await bench.puppet('observer')).join(node);
      const other = await bench.puppet('other');
      const tried: Item[] = [];
      const cases = await certificatesOfOthers(bench, other);
      for (const [index, { what, certificate, code }] of cases.entries()) {
        // Ten items a minute are allowed: a new author every five cases.
        const author = await bench.puppet(`author-${Math.floor(index / 5)}`);
        const connection = await author.join(node);
        const type = (['commit', 'challenge', 'confirm'] as const)[index % 3]!;
        const send = async (changes: Record<string, Json | undefined> | null) => {
          const item = author[type]({}, changes === null ? {} : { senderMembers: changes });
          if (changes !== null) tried.push(item);
          connection.sendEnvelope(item.envelope);
          return answerTo(connection, item.messageId);
        };
        const bad = async () => send({ certificate: await certificate(author) });
        await refusedWithTwin(bench, {
          what: `a ${type} ${what}`,
          bad,
          twin: () => send(null),
          code,
          close: null,
        });
        await stillServed(connection);
        await connection.close();
      }
      const held = await heldOf(
        observer,
        tried.map((item) => item.hash),
      );
      if (held.size > 0) fail('holds an item that it refused on its author’s connection');
      const renewed = text(await bench.target.authority.issue(other.identity));
      const connection = await other.join(node);
      await accepted(connection, other.commit());
      await accepted(connection, other.commit({}, { senderMembers: { certificate: renewed } }));
      return pass(
        `${cases.length} items with certificates that do not prove their author refused beside their twins`,
      );
    },
  },
  {
    id: 'AUT-04',
    level: 'must',
    section: '6',
    role: 's',
    quote:
      'An item is **valid** iff all of this holds, and nothing else may be a reason to refuse it from whomever it comes',
    reading:
      'Bodies on both sides of every limit of §6 (types, ranges, number forms, hex forms, size, depth, version, envelope): exactly the valid ones are taken, from their author and from somebody else alike.',
    mutants: [
      'item-rule-hash-fifteen',
      'item-rule-hash-long',
      'item-rule-hash-any-case',
      'item-rule-hash-full-only',
      'item-rule-hash-newline',
      'item-confidence-open',
      'item-confidence-unbounded',
      'item-confidence-float-only',
      'item-confidence-tolerant',
      'item-count-float',
      'item-count-unbounded',
      'item-count-thirty-two-bits',
      'item-count-negative',
      'item-metadata-array',
      'item-texts-not-empty',
      'item-context-unchecked',
      'item-evidence-unchecked',
      'item-contradiction-unchecked',
      'item-delta-from-zero',
      'item-confirm-unchecked',
      'item-members-closed',
      'item-size-unbounded',
      'item-size-limit-excluded',
      'item-depth-unbounded',
      'item-depth-less',
      'item-version-exact',
      'item-version-any',
      'item-too-old',
      'item-from-the-future',
      'item-relayed-members-unchecked',
      'item-node-id-uncompared',
    ],
    needs: [],
    durationHintMs: 4_000,
    cpu: 0.7,
    test: async (bench) => {
      const node = await bench.node();
      const observer = await (await bench.puppet('observer')).join(node);
      const source = await (await bench.puppet('relay')).peer(node);
      const authors = await bench.puppets(9, 'author');
      const candidates = [
        ...payloads,
        ...envelopes(() => bench.uuid(), bench.target.authority.notBeforeMs / 1_000),
        ...limits(),
      ];
      await compareRelayed(bench, { source, observer, authors, candidates });
      const owned = candidates.filter((candidate) => candidate.relayOnly !== true);
      await compareOwned(bench, node, authors, owned);
      const valid = candidates.filter((candidate) => candidate.valid).length;
      return pass(
        `${candidates.length} relayed bodies and ${owned.length} on their author’s connection judged alike; ${valid} are valid`,
      );
    },
  },
  {
    id: 'AUT-05',
    level: 'must',
    section: '6.2',
    role: 's',
    quote: '`accepted_rules` (sorted rule_hashes with commits of ≥ 3 distinct agents)',
    reading:
      'A rule is accepted with the commits of three distinct agents: not with three commits of two agents, not with three keys of two agents, not with a third agent’s confirm or challenge.',
    mutants: ['rules-of-two-agents', 'rules-by-commits', 'rules-by-node', 'rules-by-confirms'],
    needs: ['start'],
    durationHintMs: 7_000,
    cpu: 0.1,
    test: async (bench) => {
      const parameters = { checkpoint_interval_s: 1, anti_entropy_interval_s: 0 };
      const node = await bench.node({ parameters });
      const observer = await (await bench.puppet('observer')).join(node);
      const [a, b, c] = await bench.puppets(3, 'agent');
      const twice = await bench.puppet('agent-1-again', { agentId: a!.agentId });
      const rule = ruleHash(bench.uuid());
      const hashes: string[] = [];
      const send = async (by: Puppet, item: Item): Promise<void> => {
        await accepted(await by.join(node), item);
        hashes.push(item.hash.slice(5));
      };
      const rulesNow = async (): Promise<Json | undefined> => {
        const root = stateRoot(hashes);
        const checkpoint = await bench.waitFor('checkpoint over all items', 15_000, async () => {
          const latest = await checkpointOf(observer, null);
          return latest?.state_root === root && latest;
        });
        return (checkpoint as JsonObject).accepted_rules;
      };
      const expectRules = async (when: string, expected: readonly string[]): Promise<void> => {
        const rules = await rulesNow();
        if (readable(rules) !== readable(expected))
          fail(`${when} accepted_rules is ${readable(rules)}, expected ${readable(expected)}`);
      };
      for (const by of [a!, twice, b!, b!]) await send(by, by.commit({ rule_hash: rule }));
      await expectRules('with four commits of two agents by three keys', []);
      await send(c!, c!.confirm({ rule_hash: rule }));
      await send(c!, c!.challenge({ target_rule_hash: rule }));
      await send(c!, c!.commit());
      await expectRules('with a third agent’s confirm and challenge', []);
      await send(c!, c!.commit({ rule_hash: rule }));
      await expectRules('with the third agent’s commit', [rule]);
      return pass(
        'not accepted with 4 commits of 2 agents, nor a third one’s confirm; with its commit it was',
      );
    },
  },
];

async function certificatesOfOthers(
  bench: Bench,
  other: Puppet,
): Promise<{ what: string; certificate: (author: Puppet) => Promise<Json | undefined>; code: string }[]> {
  const { authority } = bench.target;
  const code = 'INVALID_SIGNATURE';
  const at = now();
  const issued = (options: CertificateOptions) => async (author: Puppet) =>
    text(await authority.issue(author.identity, options));
  const stranger = await createAuthority({ name: 'CLE-Net test CA' });
  return [
    { what: 'with another node’s certificate', certificate: async () => text(other.certificate), code },
    {
      what: 'with its key’s certificate for another agent',
      certificate: issued({ agentIds: ['agent_other'] }),
      code,
    },
    {
      what: 'with an expired certificate of its own',
      certificate: issued({ notAfterMs: (at - hour) * 1_000 }),
      code,
    },
    {
      what: 'with a future certificate of its own',
      certificate: issued({ notBeforeMs: (at + hour) * 1_000 }),
      code,
    },
    {
      what: 'with another CA’s certificate',
      certificate: async (author) => text(await stranger.issue(author.identity)),
      code,
    },
    {
      what: 'with a byte behind its certificate',
      certificate: async (author) => encodeBase64(Buffer.concat([author.certificate.der, Buffer.of(0)])),
      code,
    },
    {
      what: 'with a certificate of another key for its agent',
      certificate: async (author) =>
        text(await authority.issue({ ...other.identity, agentId: author.agentId })),
      code,
    },
    { what: 'with an empty certificate', certificate: async () => '', code },
    { what: 'without a certificate', certificate: async () => undefined, code: 'MALFORMED' },
    { what: 'with a number for a certificate', certificate: async () => 5, code: 'MALFORMED' },
    { what: 'with its certificate as PEM', certificate: async (author) => author.certificate.pem, code },
  ];
}

/** Size and depth, which need the whole item. */
function limits(): Candidate[] {
  const sized = (bytes: number, valid: boolean): Candidate => ({
    what: `a commit of ${bytes} bytes`,
    type: 'commit',
    changes: {},
    build: (author) => commitOfSize(author, bytes),
    code: 'TOO_LARGE',
    valid,
  });
  const deep = (depth: number, valid: boolean): Candidate => ({
    what: `a commit of depth ${depth}`,
    type: 'commit',
    changes: {},
    build: (author) => commitOfDepth(author, depth),
    valid,
  });
  return [sized(32_768, true), sized(32_769, false), deep(28, true), deep(29, false)];
}

function built(candidate: Candidate, author: Puppet): Item {
  return candidate.build?.(author) ?? author[candidate.type](candidate.changes, candidate.overrides);
}

async function compareRelayed(
  bench: Bench,
  given: { source: Joined; observer: Joined; authors: readonly Puppet[]; candidates: readonly Candidate[] },
): Promise<void> {
  const { source, observer, authors, candidates } = given;
  bench.step(`${candidates.length} bodies handed on by somebody else`);
  const items = candidates.map((candidate, index) => built(candidate, authors[index % authors.length]!));
  const held = await relayed(bench, source, observer, items);
  if (held.size === 0) inconclusive('no relayed item was taken, valid or not');
  for (const [index, { what, valid }] of candidates.entries()) {
    const item = items[index]!;
    if (held.has(item.hash) !== valid)
      fail(`${what}, relayed, was ${valid ? 'refused' : 'taken'}`, item.envelope);
  }
}

/** Each on a connection of its author, who may have ten a minute taken; the refused ones count against nothing. */
async function compareOwned(
  bench: Bench,
  node: NodeUnderTest,
  authors: readonly Puppet[],
  candidates: readonly Candidate[],
): Promise<void> {
  bench.step(`${candidates.length} bodies on their author’s connection`);
  const valid = candidates.filter((candidate) => candidate.valid);
  const bad = candidates.filter((candidate) => !candidate.valid);
  const tried: Item[] = [];
  for (const [index, author] of authors.entries()) {
    const own = [valid, bad].flatMap((list) => list.filter((_, at) => at % authors.length === index));
    const connection = await author.join(node);
    for (const candidate of own) {
      const item = built(candidate, author);
      if (!candidate.valid) tried.push(item);
      connection.sendEnvelope(item.envelope);
      const attempt = await answerTo(connection, item.messageId);
      const { what } = candidate;
      if (attempt.accepted !== candidate.valid)
        fail(
          `${what} was ${candidate.valid ? 'refused' : 'taken'} from its author: ${attempt.detail}`,
          item.envelope,
        );
      const code = candidate.code ?? 'MALFORMED';
      if (!candidate.valid && attempt.code !== code)
        fail(`${what} was refused with ${attempt.code}, expected ${code}`, item.envelope);
    }
    await stillServed(connection);
    if (index === authors.length - 1) {
      const held = await heldOf(
        connection,
        tried.map((item) => item.hash),
      );
      if (held.size > 0) fail(`${held.size} items are held that were refused`);
    }
    await connection.close();
  }
}
