/**
 * Works that belong together: side by side or one after the other, each to its end where what they leave is undone together. Knows no
 * work.
 */

/** All to their end even if one fails, because what they made is undone together; then the first failure is thrown. */
export async function toTheirEnd(...works: Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works))
    if (outcome.status === 'rejected') throw outcome.reason;
}

/** One after the other, each also if one before it failed; then the first failure is thrown. */
export async function eachInTurn(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** At most `lanes` at a time; the first failure is thrown once all under way have ended, and nothing more is begun after it. */
export async function sideBySide<T>(
  lanes: number,
  things: readonly T[],
  work: (thing: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < things.length && failures.length === 0) {
      const thing = things[next]!;
      next += 1;
      await work(thing).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, things.length) }, lane));
  if (failures.length > 0) throw failures[0];
}

/** The same, but each also if one before it failed. */
export async function eachSideBySide<T>(
  lanes: number,
  things: readonly T[],
  work: (thing: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  await sideBySide(lanes, things, (thing) =>
    work(thing).catch((error: unknown) => void failures.push(error)),
  );
  if (failures.length > 0) throw failures[0];
}
