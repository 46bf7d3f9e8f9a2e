/**
 * One member of a measured gossip net, whatever protocol it speaks: paces its own publications (open loop), stamps them with
 * the shared monotonic clock and counts what arrives from others. Plain JavaScript, because the libp2p package runs it too,
 * so both sides are measured by the same lines. Knows no protocol: `net` does.
 *
 * net: { start(index, options) → Promise<address>, connect(addresses) → Promise<void>, publish(stamp),
 *        onDelivery(callback(stamp)), counters?() → object, stop() → Promise<void> }
 * stamp: { step, sentNs } with sentNs a bigint of process.hrtime.bigint(), which every process of one machine shares.
 */

const bucketMs = 1;
const buckets = 30_000;
const tickMs = 4;

/** Serves the driver's commands over IPC until it says `stop` or goes away. */
export function runMember(net) {
  const steps = new Map();
  const stepOf = (step) => {
    let found = steps.get(step);
    if (found === undefined) {
      found = { delivered: 0, published: 0, histogram: new Uint32Array(buckets) };
      steps.set(step, found);
    }
    return found;
  };

  net.onDelivery(({ step, sentNs }) => {
    const record = stepOf(step);
    record.delivered += 1;
    const ms = Number(process.hrtime.bigint() - sentNs) / 1e6;
    const bucket = Math.min(buckets - 1, Math.max(0, Math.floor(ms / bucketMs)));
    record.histogram[bucket] += 1;
  });

  const publish = (step, ratePerSecond, durationMs) =>
    new Promise((resolve, reject) => {
      const record = stepOf(step);
      const startedAt = performance.now();
      const timer = setInterval(() => {
        const elapsed = Math.min(performance.now() - startedAt, durationMs);
        const due = Math.floor((elapsed * ratePerSecond) / 1000);
        try {
          for (; record.published < due; record.published += 1) {
            net.publish({ step, sentNs: process.hrtime.bigint() });
          }
        } catch (error) {
          clearInterval(timer);
          reject(error);
          return;
        }
        if (elapsed >= durationMs) {
          clearInterval(timer);
          resolve(record.published);
        }
      }, tickMs);
    });

  const commands = {
    start: async ({ index, options }) => ({ address: await net.start(index, options) }),
    connect: async ({ addresses }) => void (await net.connect(addresses)),
    publish: async ({ step, ratePerSecond, durationMs }) => ({
      published: await publish(step, ratePerSecond, durationMs),
    }),
    report: async ({ step }) => {
      const record = stepOf(step);
      const histogram = [];
      record.histogram.forEach((count, ms) => {
        if (count > 0) histogram.push([ms, count]);
      });
      const cpu = process.cpuUsage();
      return {
        delivered: record.delivered,
        histogram,
        cpuUs: cpu.user + cpu.system,
        counters: net.counters?.() ?? {},
      };
    },
    stop: async () => void (await net.stop()),
  };

  process.on('message', async ({ id, command, ...rest }) => {
    try {
      const result = (await commands[command](rest)) ?? {};
      process.send({ id, ...result });
    } catch (error) {
      process.send({ id, error: String(error?.stack ?? error) });
    }
    if (command === 'stop') process.disconnect();
  });
  process.on('disconnect', () => process.exit(0));
}
