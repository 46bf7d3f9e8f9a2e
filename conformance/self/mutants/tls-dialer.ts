/** Faults in the TLS of a node that dials, in sessions, and in how bytes become messages. */

import type { Mutant } from '../mutant.ts';

const certificate = 'node/core/certificate.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'tls-client-offers-1.2',
    kills: ['TLS-07'],
    file: 'node/shell/tls.ts',
    find: 'return createSecureContext(secureOptions(pem));',
    replace: `return createSecureContext({
      ...secureOptions(pem),
      minVersion: 'TLSv1.2',
      ciphers: 'TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256',
    });`,
    note: 'dials with TLS 1.2, too',
  },
  {
    id: 'tls-client-all-suites',
    kills: ['TLS-07'],
    file: 'node/shell/tls.ts',
    find: 'return createSecureContext(secureOptions(pem));',
    replace: `return createSecureContext({
      ...secureOptions(pem),
      ciphers: 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256',
    });`,
    note: 'dials with every suite of TLS 1.3',
    ci: true,
  },
  {
    id: 'tls-client-without-certificate',
    kills: ['TLS-07'],
    file: 'node/shell/tls.ts',
    find: 'return createSecureContext(secureOptions(pem));',
    replace: `const { key, cert, ...rest } = secureOptions(pem);
      return createSecureContext(rest);`,
    note: 'presents no certificate when it dials',
    mayBreak: ['TLS-08'],
  },
  {
    id: 'tls-client-trusts-all',
    kills: ['TLS-08'],
    file: 'node/shell/dialer.ts',
    find: 'if (!certificate || !options.isProof(certificate))',
    replace: 'if (!certificate)',
    note: 'does not verify whom it dials',
  },
  {
    id: 'tls-client-other-node',
    kills: ['TLS-08'],
    file: 'node/core/handshake.ts',
    find: "if (errand?.kind === 'bootstrap' && errand.query.nodeId !== nodeId) {",
    replace: 'if (Math.random() > 2) {',
    note: "does not compare a bootstrap node's key with the configured one",
    mayBreak: ['DSC-06'],
    ci: true,
  },
  {
    id: 'tls-client-expiry-unchecked',
    kills: ['TLS-08'],
    file: certificate,
    find: 'certificate.notBeforeMs / 1000 <= atSeconds && atSeconds <= certificate.notAfterMs / 1000',
    replace: 'certificate.notBeforeMs / 1000 <= atSeconds',
    note: 'dials a server whose certificate has expired',
    mayBreak: ['AUT-01', 'TLS-05'],
  },
  {
    id: 'tls-client-purpose-unchecked',
    kills: ['TLS-08'],
    file: certificate,
    find: 'if (!purposes.includes(oids.serverAuth) || !purposes.includes(oids.clientAuth)) return false;',
    replace: 'if (!purposes.includes(oids.serverAuth)) return false;',
    note: 'takes a server whose certificate is not for clients',
    mayBreak: ['AUT-01', 'TLS-05'],
  },
  {
    id: 'tls-session-resumed',
    kills: ['TLS-09'],
    file: 'node/shell/tls.ts',
    find: 'secureOptions: constants.SSL_OP_NO_TICKET,',
    replace: '',
    note: 'resumes sessions',
  },
  {
    id: 'split-message-lost',
    kills: ['TLS-10'],
    file: 'node/shell/connection.ts',
    find: 'let closing = false;',
    replace: `let closing = false;
  let reads = 0;
  socket.prependListener('data', () => { reads += 1; });`,
    also: [
      {
        file: 'node/shell/connection.ts',
        find: 'if (closing) return;\n    if (held.length === 0 && mayTake()) {',
        replace:
          'const pieces = reads;\n    reads = 0;\n    if (closing || pieces > 1) return;\n    if (held.length === 0 && mayTake()) {',
      },
    ],
    note: 'loses a message that comes in more than one read',
    mayBreak: ['ENV-03', 'ENV-08', 'ENV-06'],
    ci: true,
  },
  {
    id: 'one-message-per-read',
    kills: ['TLS-10'],
    file: 'node/shell/connection.ts',
    find: 'let closing = false;',
    replace: `let closing = false;
  let taken = false;
  socket.prependListener('data', () => { taken = false; });`,
    also: [
      {
        file: 'node/shell/connection.ts',
        find: 'if (closing) return;\n    if (held.length === 0 && mayTake()) {',
        replace:
          'if (closing || taken) return;\n    taken = true;\n    if (held.length === 0 && mayTake()) {',
      },
    ],
    note: 'forgets what stands behind the first message of a read',
  },
  {
    id: 'many-reads-lost',
    kills: ['TLS-10'],
    file: 'node/shell/connection.ts',
    find: 'let closing = false;',
    replace: `let closing = false;
  let reads = 0;
  socket.prependListener('data', () => { reads += 1; });`,
    also: [
      {
        file: 'node/shell/connection.ts',
        find: 'if (closing) return;\n    if (held.length === 0 && mayTake()) {',
        replace:
          'const pieces = reads;\n    reads = 0;\n    if (closing || pieces > 64) return;\n    if (held.length === 0 && mayTake()) {',
      },
    ],
    note: 'gives up a message that comes in more than 64 reads',
    mayBreak: ['ENV-06'],
  },
];
