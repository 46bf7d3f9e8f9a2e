/** Message format: the envelope, its limits, and the WebSocket that carries it. */

import { buildEnvelope, tampered } from '../../harness/wire/envelope.ts';
import { answerTo, refusedWithTwin } from '../expect.ts';
import { pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'ENV-07',
    level: 'must',
    section: 'F2',
    role: 's',
    quote: 'Unknown members are allowed in every object and are covered by the signature.',
    reading:
      'Control: a message with members that nobody knows is answered; altered after signing, it is not.',
    mutants: [],
    needs: [],
    durationHintMs: 500,
    test: async (bench) => {
      const node = await bench.shared();
      const connection = await (await bench.puppet('asker')).join(node);
      const ask = (wind: string): ReturnType<typeof answerTo> => {
        const payload = {
          query_type: 'by_hash',
          filters: { rule_hash: 'rule_0', colour: 'red' },
          mood: [1, { a: 1.5 }],
        };
        const extra = { weather: { wind: 'east' } };
        const signed = buildEnvelope(connection.puppet.identity, 'query', payload, { extra });
        return answerTo(connection, connection.sendEnvelope(tampered(signed, ['weather', 'wind'], wind)));
      };
      await refusedWithTwin(bench, {
        what: 'a query whose unknown members were altered after signing',
        code: 'INVALID_SIGNATURE',
        close: null,
        bad: () => ask('west'),
        twin: () => ask('east'),
      });
      return pass('unknown members were ignored, and covered by the signature');
    },
  },
];
