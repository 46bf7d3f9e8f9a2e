/** § 8.1 TLS: who may connect at all. Refusals are made with real handshakes, each beside a twin that must succeed. */

import { createAuthority, selfSigned } from '../../harness/wire/authority.ts';
import { refusedWithTwin, tryHandshake } from '../expect.ts';
import type { PuppetOptions } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

const dayMs = 86_400_000;
const clientAuth = '1.3.6.1.5.5.7.3.2';

export const rows: readonly Requirement[] = [
  {
    id: 'TLS-01',
    level: 'must',
    section: '8.1',
    role: 's',
    quote: 'All connections use TLS 1.3 with mutual authentication:',
    reading: 'Control: TLS 1.3 with TLS_AES_256_GCM_SHA384 and a certificate of the CA is accepted.',
    mutants: [],
    needs: [],
    durationHintMs: 300,
    test: async (bench) => {
      const node = await bench.shared();
      const connection = await (await bench.puppet('honest')).mustDial(node);
      const { protocol, cipher } = connection.tls;
      if (protocol !== 'TLSv1.3' || cipher !== 'TLS_AES_256_GCM_SHA384') fail(`${protocol} with ${cipher}`);
      return pass(`${protocol} with ${cipher}, both certificates`);
    },
  },
  {
    id: 'TLS-05',
    level: 'must',
    section: '8.1',
    role: 's',
    quote: '- selfsigned_allowed: false',
    reading:
      'A client certificate that is self-signed, of another CA, expired, not yet valid or without clientAuth gets no connection.',
    ruling: 'Profile §1, "proves"; §2: "Refusal may be a TLS alert, closing, or HTTP 403 to the upgrade".',
    mutants: ['tls-any-certificate', 'tls-purpose-unchecked'],
    needs: [],
    durationHintMs: 1_000,
    test: async (bench) => {
      const node = await bench.shared();
      const now = Date.now();
      const other = await createAuthority();
      const variants: Record<string, NonNullable<PuppetOptions['certificate']>> = {
        'a self-signed': selfSigned,
        "another CA's": (identity) => other.issue(identity),
        'an expired': { notBeforeMs: now - 9 * dayMs, notAfterMs: now - dayMs },
        'a not yet valid': { notBeforeMs: now + dayMs, notAfterMs: now + 9 * dayMs },
        'a client-only': { extendedKeyUsage: [clientAuth] },
      };
      const honest = await bench.puppet('honest');
      for (const [what, certificate] of Object.entries(variants)) {
        const stranger = await bench.puppet(what, { certificate });
        await refusedWithTwin(bench, {
          what: `${what} certificate`,
          bad: () => tryHandshake(stranger, node),
          twin: () => tryHandshake(honest, node),
        });
      }
      return pass(
        `${Object.keys(variants).length} certificates were refused, an honest one was accepted each time`,
      );
    },
  },
];
