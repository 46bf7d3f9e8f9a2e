/** Message formats, errors: each fault draws the error that is its own, in its form; of two faults the one checked first. */

import { peerRequest } from '../../harness/wire/gossip.ts';
import type { Bench } from '../bench.ts';
import { closedWith, stillServed } from '../expect.ts';
import { closingFaults, drawErrors, faultsOf, faultsOverLimit, wellFormed } from '../faults.ts';
import type { Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'ERR-01',
    level: 'must',
    section: 'F3.6',
    role: 'b',
    quote: '`request_id`: the message_id as it was read, if a string of at most 200 characters, else null',
    reading:
      'Every error has a known error_code, an error_message and details with a request_id that names the message it is about; of two faults it names the one that §3.2 checks first; watched on all connections of the run.',
    mutants: [
      'error-shape-before-age',
      'error-state-before-signature',
      'error-free-text',
      'error-lower-case',
      'error-own-codes',
      'error-without-details',
      'error-without-request-id',
      'error-long-id',
      'error-number-id',
      'error-stale-without-now',
      'error-stale-milliseconds',
      'error-malformed-silent',
    ],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      const [puppet, asker] = await bench.puppets(2, 'faulty');
      const connection = await puppet!.join(node);
      bench.step('faults that are answered');
      const faults = faultsOf(puppet!);
      await drawErrors(connection, faults);
      await stillServed(connection);
      bench.step('too many queries');
      const asking = await asker!.join(node);
      for (let i = 0; i < 30; i += 1) asking.send('peer_request', peerRequest(asker!.nodeId));
      const [error] = await drawErrors(asking, faultsOverLimit);
      if (!(error!.payload.details.retry_after > 0)) fail('RATE_LIMIT without retry_after', error!.text);
      await drawClosing(bench, puppet!, node);
      return pass(`${faults.length + 10} faults drew errors in their form, each naming its message`);
    },
  },
];

/** Faults that close: each on a connection of its own. The error may be lost to the close. */
async function drawClosing(bench: Bench, puppet: Puppet, node: NodeUnderTest): Promise<void> {
  for (const [fault, close, joined] of closingFaults) {
    bench.step(fault.what);
    const connection = joined ? await puppet.join(node) : await puppet.mustDial(node);
    const id = fault.send(connection);
    await closedWith(connection, close);
    const [error, ...more] = connection.seen('error');
    if (error !== undefined) wellFormed(error, fault, id);
    if (more.length > 0) fail(`${fault.what} drew ${more.length + 1} errors`, more[0]!.text);
  }
}
