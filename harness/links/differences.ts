/**
 * Where the embedded fault server differs from Toxiproxy 2.12.0 on purpose. The one table: the contract test asserts each
 * row on both servers, and `docs/fault-plane.md` prints it (a test compares).
 */

export interface Difference {
  /** Stable; the contract test has a case of this name. */
  id: string;
  toxiproxy: string;
  embedded: string;
  why: string;
}

export const differences: readonly Difference[] = [
  {
    id: 'seeded',
    toxiproxy: 'parses `-seed` and throws it away; toxicity and jitter differ from run to run',
    embedded:
      'every roll and every jitter follows from seed, proxy, connection number, stream and toxic name',
    why: 'a run must be repeatable',
  },
  {
    id: 'rolled-once',
    toxiproxy: 'adding, changing or removing a neighbour toxic rolls the toxicity of a live connection again',
    embedded: 'a connection is struck by a toxic or not for as long as both live',
    why: 'another fault must not cure or cause this one',
  },
  {
    id: 'half-close',
    toxiproxy: 'the end of one direction closes both; an answer after the FIN is lost',
    embedded: 'directions end one by one, as without a proxy',
    why: 'a link without faults must behave like no proxy',
  },
  {
    id: 'reset-is-reset',
    toxiproxy:
      '`reset_peer` ends connections that are older than the toxic with a FIN, and waits for data first',
    embedded: '`reset_peer` sends a RST to both sides `timeout` ms after it takes effect, idle or not',
    why: 'a reset is what was asked for',
  },
  {
    id: 'dead-upstream-resets',
    toxiproxy: 'accepts, dials, and closes with a FIN if nobody listens there',
    embedded: 'accepts, dials, and resets (RST) if nobody listens there',
    why: 'a dead node must not look like one that ends politely',
  },
  {
    id: 'cut-holds-the-end',
    toxiproxy: '`bandwidth` with rate 0 lets a FIN pass if no data waits before it',
    embedded: '`bandwidth` with rate 0 holds the FIN too, until it heals',
    why: 'a partition hides a crash',
  },
  {
    id: 'accepts-side-by-side',
    toxiproxy:
      'dials inside its accept loop: one black-holed dial stops the proxy, a DELETE then freezes the whole API for 25 s',
    embedded: 'dials do not wait for each other, and no API call waits for the network',
    why: 'a fault plane that hangs makes verdicts unknown',
  },
  {
    id: 'live-counters',
    toxiproxy: 'counts bytes when a connection ends, and only if asked at its start',
    embedded:
      '`GET /links`, `GET /links/{proxy}`: accepted, open, and bytes taken, passed and dropped per stream, live',
    why: 'receipts and the bypass check need them',
  },
  {
    id: 'many-at-once',
    toxiproxy: 'one call per toxic',
    embedded: '`POST /links` changes many links in one call, all or nothing',
    why: 'a partition falls on all its links at one instant',
  },
  {
    id: 'populate-any-address',
    toxiproxy: '`/populate` with `:PORT` restarts the proxy each time and loses its toxics',
    embedded: '`:PORT` and `[::]:PORT` are the same address',
    why: 'populating twice is to change nothing',
  },
  {
    id: 'reset-goes-on',
    toxiproxy: '`/reset` stops at the first proxy that cannot listen; later ones keep their toxics',
    embedded: '`/reset` goes on, and reports the first failure at the end',
    why: 'one bad link must not keep the others faulty',
  },
  {
    id: 'integers-by-value',
    toxiproxy: 'refuses `1e3` and `1.0` as an integer',
    embedded: 'takes any spelling of a whole number',
    why: 'JSON.parse does not tell them apart',
  },
];
