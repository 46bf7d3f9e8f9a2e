/** Which subtrees to ask for when some items are waited for: few requests, short answers (profile §8, `sync_digest`). Pure. */

/** Up to so many items in all, one answer about everything is the cheapest. */
const smallState = 40;
/** More different subtrees than this cost more, here and at the node, than one answer of a few hundred hashes. */
const mostSubtrees = 2;
/** `item_hashes` comes up to 500; above, the answer has children only. */
const mostListed = 450;

/**
 * Prefixes that cover every wanted hash. `split`: prefixes that were found to be too full to be listed, so that one digit more
 * is needed below them.
 */
export function planPrefixes(wanted: Iterable<string>, total: number, split: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  for (const hash of wanted) {
    let prefix = total <= smallState && !split.has('') ? '' : hash.slice(0, 1);
    while (split.has(prefix)) prefix = hash.slice(0, prefix.length + 1);
    found.add(prefix);
  }
  if (found.size > mostSubtrees && total <= mostListed && !split.has('')) return [''];
  return [...found].sort();
}
