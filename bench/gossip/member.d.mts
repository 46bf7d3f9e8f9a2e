/** Types of `member.mjs`, for members written in TypeScript. */

export interface Stamp {
  step: number;
  sentNs: bigint;
}

export interface MeasuredNet {
  start(index: number, options: never): Promise<string>;
  connect(addresses: string[]): Promise<void>;
  publish(stamp: Stamp): void;
  onDelivery(callback: (stamp: Stamp) => void): void;
  counters?(): Record<string, number>;
  stop(): Promise<void>;
}

export function runMember(net: MeasuredNet): void;
