/**
 * One measured bar: a figure, the control it was measured against in the same run, their ratio, and what the ratio has to
 * be. Owns the form of the rows and how they are printed; measures nothing.
 */

export interface Bar {
  name: string;
  /** With its unit, e.g. `9 340 deliveries/s`. */
  figure: string;
  control: string;
  ratio: number;
  /** `<= 1.5` or `>= 15`. */
  bar: string;
  met: boolean;
}

export interface BenchOptions {
  /** Fewer repetitions and shorter steps: minutes, for CI. */
  quick: boolean;
  /** Progress, one line each. */
  say: (line: string) => void;
  /** Scratch space; removed by the caller. */
  scratchDir: string;
}

export interface Bench {
  name: string;
  /** One line for `bench --list` and the docs. */
  what: string;
  run(options: BenchOptions): Promise<Bar[]>;
}

const round = (value: number): number => Number(value.toPrecision(3));

/** `direction` says on which side of `limit` the ratio has to be. */
export function bar(
  name: string,
  figure: string,
  control: string,
  ratio: number,
  direction: '<=' | '>=',
  limit: number,
): Bar {
  const met = direction === '<=' ? ratio <= limit : ratio >= limit;
  return {
    name,
    figure,
    control,
    ratio: round(ratio),
    bar: `${direction} ${limit}`,
    met: met && Number.isFinite(ratio),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The table that a person reads, one row per bar. */
export function barTable(bars: readonly Bar[]): string {
  const rows = [
    ['bar', 'figure', 'control', 'ratio', 'wanted', 'met'],
    ...bars.map((b) => [b.name, b.figure, b.control, String(b.ratio), b.bar, b.met ? 'yes' : 'NO']),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
