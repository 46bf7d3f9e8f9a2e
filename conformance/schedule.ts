/**
 * When which row runs. Rows that wait (60 s windows, 90 s silences) start first and all side by side; rows that compute share
 * the processors and start in order of length; the heaviest go one after the other beside them all, from the first moment on,
 * because their sum decides how long a run takes. Knows nothing of what a row does. A row that hangs costs its limit.
 */

export interface Job<T> {
  id: string;
  durationHintMs: number;
  /** Processors kept busy; 0 for a job that waits. */
  cpu: number;
  /** Before all others, and among its like the shortest first. */
  first?: boolean;
  /** Called once, when the job's turn has come. Must settle by itself; the caller puts limits inside. */
  run(): Promise<T>;
}

export interface Bounds {
  /** Sum of `cpu` of the jobs under way. */
  cpu: number;
  /** Jobs under way, waiting ones included. */
  jobs: number;
  /** Jobs with at least so much `cpu` run one at a time, and do not wait for the others to make room. */
  alone?: number;
}

/** Starts jobs within the bounds; the promise of each job is there at once. `settled` resolves when all are through. */
export function schedule<T>(
  jobs: readonly Job<T>[],
  bounds: Bounds,
): { outcomes: ReadonlyMap<string, Promise<T>>; settled: Promise<void> } {
  const outcomes = new Map<string, Promise<T>>();
  const starters = new Map<string, () => Promise<T>>();
  for (const job of jobs) {
    const outcome = new Promise<T>((resolve, reject) => {
      starters.set(job.id, () => {
        const running = job.run();
        running.then(resolve, reject);
        return running;
      });
    });
    outcome.catch(() => {});
    outcomes.set(job.id, outcome);
  }
  let pending = [...jobs].sort(earlierFirst);
  let cpu = 0;
  let running = 0;
  let heavyRuns = false;
  const isHeavy = (job: Job<T>): boolean => bounds.alone !== undefined && job.cpu >= bounds.alone;
  const startWhatFits = (): void => {
    let blocked = false;
    const left: Job<T>[] = [];
    for (const job of pending) {
      const heavy = isHeavy(job);
      const hasRoom = heavy
        ? !heavyRuns
        : job.cpu === 0 || (!blocked && (cpu === 0 || cpu + job.cpu <= bounds.cpu));
      if (running >= bounds.jobs || !hasRoom) {
        // A big job that waits for room keeps the smaller ones behind it from taking that room again and again.
        if (job.cpu > 0 && !heavy) blocked = true;
        left.push(job);
        continue;
      }
      cpu += job.cpu;
      running += 1;
      heavyRuns ||= heavy;
      const done = (): void => {
        if (heavy) heavyRuns = false;
        cpu = Math.max(0, Number((cpu - job.cpu).toFixed(6)));
        running -= 1;
        startWhatFits();
      };
      starters.get(job.id)!().then(done, done);
    }
    pending = left;
  };
  startWhatFits();
  return { outcomes, settled: Promise.allSettled(outcomes.values()).then(() => undefined) };
}

function earlierFirst(a: Job<unknown>, b: Job<unknown>): number {
  if (a.first && b.first) return a.durationHintMs - b.durationHintMs;
  return Number(b.first ?? false) - Number(a.first ?? false) || b.durationHintMs - a.durationHintMs;
}
