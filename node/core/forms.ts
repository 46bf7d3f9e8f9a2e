/** The small text forms that fields have in many messages (§1, §3, §6). Knows no message. ASCII throughout. */

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const nodeIdForm = /^node_[0-9a-f]{40}$/;
const agentIdForm = /^agent_[A-Za-z0-9_-]{1,64}$/;
const digestForm = /^[0-9a-f]{64}$/;
const itemHashForm = /^rule_[0-9a-f]{64}$/;
const ruleHashForm = /^rule_[0-9a-f]{16,64}$/;
const versionForm = /^1\.[0-9]+$/;
const prefixForm = /^[0-9a-f]{0,64}$/;

function matches(form: RegExp, value: unknown): value is string {
  return typeof value === 'string' && form.test(value);
}

/** UUID version 4, variant 8–b, lower case (§3). */
export function isUuid(value: unknown): value is string {
  return matches(uuidForm, value);
}

/** `node_` and 40 hex digits (§1). */
export function isNodeId(value: unknown): value is string {
  return matches(nodeIdForm, value);
}

/** `agent_` and 1–64 of `A-Z a-z 0-9 _ -` (§1). */
export function isAgentId(value: unknown): value is string {
  return matches(agentIdForm, value);
}

/** A bare SHA-256: 64 hex digits (§8). */
export function isDigest(value: unknown): value is string {
  return matches(digestForm, value);
}

/** `rule_` and 64 hex digits: the hash of an item (§6). */
export function isItemHash(value: unknown): value is string {
  return matches(itemHashForm, value);
}

/** `rule_` and 16–64 hex digits: the hash of a rule, chosen by an agent (§6). */
export function isRuleHash(value: unknown): value is string {
  return matches(ruleHashForm, value);
}

/** `1.` and digits: a version that this profile speaks (§3.2 check 3). */
export function isSpokenVersion(value: unknown): value is string {
  return matches(versionForm, value);
}

/** A prefix of the state's tree: up to 64 hex digits (§8). */
export function isPrefix(value: unknown): value is string {
  return matches(prefixForm, value);
}
