import { expect } from 'chai';
import { type HostSecond, judgeHost } from '../../harness/host.ts';
import { explainsLateness } from '../judge-row.ts';

const second = (busy: number): HostSecond => ({
  at: 0,
  ms: 1000,
  lagMs: 20,
  busy,
  nodes: 0.1,
  harness: 0.1,
  stolen: 0,
  availableMiB: 8000,
  hungriest: null,
});
const seconds = (calm: number, full: number): HostSecond[] => [
  ...Array.from({ length: calm }, () => second(0.3)),
  ...Array.from({ length: full }, () => second(1)),
];

describe('what a host explains of a row that was late', () => {
  const cases: [what: string, calm: number, full: number, explains: boolean][] = [
    ['5 full seconds of 10', 5, 5, true],
    ['5 full seconds of 93: what never came in that time is not 5 s late', 88, 5, false],
    ['30 full seconds of 93', 63, 30, true],
    ['4 full seconds of 10: a peak', 6, 4, false],
  ];
  for (const [what, calm, full, explains] of cases) {
    it(`${explains ? 'something' : 'nothing'} by ${what}`, () => {
      expect(explainsLateness(judgeHost(seconds(calm, full), 2, 10_000))).to.equal(explains);
    });
  }
});
