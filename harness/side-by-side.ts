/** Many works, a bounded number at a time. Knows no work. */

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
