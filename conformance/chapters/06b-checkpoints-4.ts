/** § 6.2 How high a checkpoint may be and how far ahead in time. */

import { sha256 } from '../../harness/wire/identity.ts';
import { float, type JsonObject, numberOf } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { pass, type Requirement } from '../requirement.ts';
import { adopts, type BadOffer, checkpointOn, refusesAll, type Stage, setStage, still } from '../stage.ts';

const greatestHeight = 2 ** 53 - 1;

export const rows: readonly Requirement[] = [
  {
    id: 'CKP-07',
    level: 'must',
    section: '6.2',
    role: 'c',
    quote:
      "Refused is a checkpoint more than 300 s ahead of the receiver's clock, or of a height above 2 + 2 · (its timestamp − notBefore of the CA's certificate) / `checkpoint_interval_s`",
    reading:
      'A height beyond what the age of the network allows, or the time since the node’s own checkpoint, and a timestamp more than 300 s ahead are refused, by a newcomer too; an unknown predecessor is no error.',
    ruling: 'Profile §8: "an unknown predecessor is no error", "for an interval of 0 count 60".',
    mutants: [
      'height-by-age-unchecked',
      'height-by-own-unchecked',
      'height-own-without-time',
      'height-own-negative-time',
      'height-for-sixty-seconds',
      'height-interval-zero-unbounded',
      'height-by-own-one-less',
      'checkpoint-future-unchecked',
      'checkpoint-future-sixty',
      'checkpoint-predecessor-demanded',
    ],
    needs: ['start', 'instances'],
    durationHintMs: 4_000,
    limitMs: 60_000,
    cpu: 0.4,
    test: async (bench) => {
      const slow = { ...still, checkpoint_interval_s: 600 };
      const [newcomer, settled, future] = await bench.nodes(3, (index) => ({
        parameters: index === 0 ? slow : still,
      }));
      await byAge(bench, await setStage(bench, newcomer!));
      await byOwn(await setStage(bench, settled!));
      await ahead(await setStage(bench, future!));
      return pass('heights at the bounds and 290 s ahead adopted, one above and 320 s ahead refused');
    },
  },
];

/** A newcomer with an interval of 600 s: only the age of the CA bounds the height. */
async function byAge(bench: Bench, stage: Stage): Promise<void> {
  const timestamp = Math.floor(Date.now() / 1000) + 0.5;
  const ageS = timestamp - bench.target.authority.notBeforeMs / 1000;
  const bound = Math.floor(2 + (2 * ageS) / 600);
  const made = (height: number): BadOffer => ({
    what: `a checkpoint of height ${height}, of which the age of the network allows ${bound}`,
    checkpoint: checkpointOn(stage, { height, timestamp: float(timestamp) }),
  });
  const bads = [made(greatestHeight), made(bound + 1), made(bound * 10)];
  await refusesAll(stage, bads, checkpointOn(stage, { height: bound, timestamp: float(timestamp) }));
}

/** The receiver's own checkpoint bounds it too; an interval of 0 counts as 60 s. All in timestamps, none in clocks. */
async function byOwn(stage: Stage): Promise<void> {
  const start = Math.floor(Date.now() / 1000) - 1_000.5;
  await adopts(stage, checkpointOn(stage, { height: 100, timestamp: float(start) }));
  const at = (height: number, afterS: number): JsonObject =>
    checkpointOn(stage, { height, timestamp: float(numberOf(stage.stands!.timestamp) + afterS) });
  const bad = (height: number, afterS: number): BadOffer => ({
    what: `a checkpoint ${height - stage.height} above the node’s own and ${afterS} s later`,
    checkpoint: at(height, afterS),
  });
  await refusesAll(stage, [bad(1_100, 0), bad(103, 0), bad(103, -900), bad(106, 90)], at(105, 90));
  await refusesAll(stage, [bad(141, 990)], at(105 + 2 + 20, 600));
  await refusesAll(stage, [bad(130, 0)], at(129, -500));
}

async function ahead(stage: Stage): Promise<void> {
  const now = Date.now() / 1000;
  const made = (aheadS: number): JsonObject =>
    checkpointOn(stage, { height: 1, timestamp: float(now + aheadS) });
  const bads = [320, 3_600, 1e9].map((aheadS) => ({
    what: `a checkpoint ${aheadS} s ahead`,
    checkpoint: made(aheadS),
  }));
  await refusesAll(stage, bads, made(280));
  await adopts(
    stage,
    checkpointOn(stage, { height: 3, previousHash: sha256('nobody has it'), timestamp: float(now + 281) }),
  );
}
