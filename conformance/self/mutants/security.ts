/** Faults in who may connect and in what a signature must be like. */

import type { Mutant } from '../mutant.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'tls-any-certificate',
    kills: ['TLS-05'],
    file: 'node/shell/listener.ts',
    find: 'if (!certificate || !options.isProof(certificate))',
    replace: 'if (!certificate)',
    note: 'takes any client certificate',
    mayBreak: ['TLS-04', 'TLS-06'],
  },
  {
    id: 'tls-purpose-unchecked',
    kills: ['TLS-05'],
    file: 'node/core/certificate.ts',
    find: 'if (!purposes.includes(oids.serverAuth) || !purposes.includes(oids.clientAuth)) return false;',
    replace: '',
    note: 'does not look at the extended key usage',
    mayBreak: ['AUT-01', 'TLS-08'],
    ci: true,
  },
  {
    id: 'unsigned-errors',
    kills: ['SIG-01'],
    file: 'node/core/sending.ts',
    find: 'const signature = encodeBase64(node.world.sign(asciiBytes(head + tail)));',
    replace:
      "const signature = encodeBase64(messageType === 'error' ? new Uint8Array(64) : node.world.sign(asciiBytes(head + tail)));",
    note: 'sends errors with a signature of zeros',
    ci: true,
  },
  {
    id: 'signature-length-unchecked',
    kills: ['SIG-02'],
    file: 'node/core/inbound.ts',
    find: 'const signature = decodeBase64(envelope.signature, 64);',
    replace: 'const signature = decodeBase64(envelope.signature)?.subarray(0, 64) ?? null;',
    note: 'takes a signature with a byte too many',
    ci: true,
  },
];
