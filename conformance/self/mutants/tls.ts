/** Faults in the TLS of a node that is dialled, and in what a certificate proves. */

import type { Mutant } from '../mutant.ts';

const listener = 'node/shell/listener.ts';
const certificate = 'node/core/certificate.ts';
const serverOptions = '...secureOptions(options.pem),';

/** A stranger without a certificate becomes whom its first message says. */
const anonymous = [
  {
    file: listener,
    find: 'if (!certificate || !options.isProof(certificate))',
    replace: 'if (certificate && !options.isProof(certificate))',
  },
  {
    file: listener,
    find: 'options.accepted(webSocket, socket, certificate);',
    replace: 'options.accepted(webSocket, socket, certificate ?? new Uint8Array(0));',
  },
  {
    file: 'node/core/handshake.ts',
    find: 'const certificate = readCertificate(der, node.authority, trusting, false);',
    replace: `const nobody = { publicKey: new Uint8Array(32), publicKeyBase64: '', nodeId: 'node_' + '0'.repeat(40), agentId: '', notBeforeMs: 0, notAfterMs: 9e15 };
      const certificate = der.length === 0 ? nobody : readCertificate(der, node.authority, trusting, false);`,
  },
  {
    file: 'node/core/handshake.ts',
    find: 'if (hello.nodeId !== link.peer.nodeId)',
    replace: 'if (hello.nodeId !== link.identity.nodeId)',
  },
  {
    file: 'node/core/inbound.ts',
    find: 'const { identity } = link;',
    replace: `const { identity } = link;
      if (identity.agentId === '') Object.assign(identity, sender, { publicKeyBase64: sender.publicKey, publicKey: Buffer.from(sender.publicKey, 'base64') });`,
  },
];

/** Speaks HTTP without TLS on the same port, as far as the upgrade. */
const sniffing = `import { createServer as createHttps, type Server } from 'node:https';
import { createServer as createHttp } from 'node:http';
import { createServer as createTcp } from 'node:net';
function createServer(options: any): any {
  const https = createHttps(options);
  const http = createHttp((_request, response) => response.end());
  http.on('upgrade', (_request, socket) => socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n'));
  const tcp: any = createTcp((socket) => socket.once('readable', () => {
    const first = socket.read();
    if (first === null) return;
    socket.unshift(first);
    (first[0] === 22 ? https : http).emit('connection', socket);
  }));
  for (const name of ['request', 'upgrade', 'clientError']) https.on(name, (...args: any[]) => tcp.emit(name, ...args));
  return tcp;
}`;

export const mutants: readonly Mutant[] = [
  {
    id: 'tls-server-takes-1.2',
    kills: ['TLS-02'],
    file: listener,
    find: serverOptions,
    replace: `${serverOptions} minVersion: 'TLSv1.2', ciphers: 'TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256',`,
    note: 'accepts TLS 1.2',
    ci: true,
  },
  {
    id: 'tls-plain-text-served',
    kills: ['TLS-02'],
    file: listener,
    find: "import { createServer, type Server } from 'node:https';",
    replace: sniffing,
    note: 'answers an upgrade without TLS',
  },
  {
    id: 'tls-server-all-suites',
    kills: ['TLS-03'],
    file: listener,
    find: serverOptions,
    replace: `${serverOptions} ciphers: 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256',`,
    note: 'accepts every suite of TLS 1.3',
  },
  {
    id: 'tls-server-prefers-aes-128',
    kills: ['TLS-03'],
    file: listener,
    find: serverOptions,
    replace: `${serverOptions} ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384',`,
    note: 'chooses AES-128 where it is offered, as Go does',
  },
  {
    id: 'tls-anonymous-client',
    kills: ['TLS-04'],
    file: listener,
    find: 'requestCert: true,',
    replace: 'requestCert: false,',
    also: anonymous,
    note: 'asks for no client certificate and believes the first message',
    mayBreak: ['TLS-05', 'TLS-06', 'HSK-05', 'SIG-05', 'DIR-06', 'GAL-12', 'AEN-09'],
  },
  {
    id: 'tls-anonymous-too',
    kills: ['TLS-04'],
    ...anonymous[0]!,
    also: anonymous.slice(1),
    note: 'asks for a client certificate, but does without',
    mayBreak: ['TLS-05', 'TLS-06', 'HSK-05', 'SIG-05'],
    ci: true,
  },
  {
    id: 'tls-strangers-unheard',
    kills: ['TLS-05', 'TLS-06'],
    file: listener,
    find: "if (!certificate || !options.isProof(certificate)) return refuse(socket, '403 Forbidden');",
    replace: `if (!certificate) return refuse(socket, '403 Forbidden');
    if (!options.isProof(certificate)) return webSockets.handleUpgrade(request, socket, head, () => halfOpen.upgraded(socket));`,
    note: 'connects with a certificate that proves nothing, and never answers on it',
    mayBreak: ['AUT-01'],
  },
  {
    id: 'tls-client-usage-enough',
    kills: ['TLS-05'],
    file: certificate,
    find: 'if (!purposes.includes(oids.serverAuth) || !purposes.includes(oids.clientAuth)) return false;',
    replace: 'if (!purposes.includes(oids.clientAuth)) return false;',
    note: 'takes a certificate that is for clients only',
    mayBreak: ['AUT-01', 'TLS-08'],
  },
  {
    id: 'tls-expiry-unchecked',
    kills: ['TLS-05'],
    file: certificate,
    find: 'certificate.notBeforeMs / 1000 <= atSeconds && atSeconds <= certificate.notAfterMs / 1000',
    replace: 'certificate.notBeforeMs / 1000 <= atSeconds',
    note: 'does not look whether a certificate has expired',
    mayBreak: ['AUT-01', 'TLS-08', 'AUT-02'],
  },
  {
    id: 'tls-not-before-unchecked',
    kills: ['TLS-05'],
    file: certificate,
    find: 'certificate.notBeforeMs / 1000 <= atSeconds && atSeconds <= certificate.notAfterMs / 1000',
    replace: 'atSeconds <= certificate.notAfterMs / 1000',
    note: 'does not look whether a certificate is valid yet',
    mayBreak: ['AUT-01', 'TLS-08'],
  },
  {
    id: 'tls-agent-first-of-two',
    kills: ['TLS-06'],
    file: certificate,
    find: 'agents.length === 1 ? agents[0]!',
    replace: 'agents.length > 0 ? agents[0]!',
    note: 'takes the first of several agent ids',
    mayBreak: ['AUT-01', 'TLS-08'],
    ci: true,
  },
  {
    id: 'tls-agent-last-of-two',
    kills: ['TLS-06'],
    file: certificate,
    find: 'agents.length === 1 ? agents[0]!',
    replace: 'agents.length > 0 ? agents.at(-1)!',
    note: 'takes the last of several agent ids',
    mayBreak: ['AUT-01', 'TLS-08'],
  },
  {
    id: 'tls-agent-unread',
    kills: ['TLS-06'],
    file: certificate,
    find: 'if (agentId === null) return null;',
    replace: "agentId ??= '';",
    also: [
      {
        file: 'node/core/inbound.ts',
        find: 'sender.agentId !== identity.agentId\n',
        replace: "(identity.agentId !== '' && sender.agentId !== identity.agentId)\n",
      },
    ],
    note: 'takes a certificate without an agent id and believes the message',
    mayBreak: ['AUT-01', 'TLS-08'],
  },
  {
    id: 'tls-agent-form-unchecked',
    kills: ['TLS-06'],
    file: certificate,
    find: 'return isAgentId(agentId) ? agentId : null;',
    replace: 'return agentId;',
    note: 'takes any text as an agent id',
    mayBreak: ['AUT-01', 'AUT-04'],
  },
  {
    id: 'tls-agent-not-compared',
    kills: ['TLS-06'],
    file: 'node/core/inbound.ts',
    find: 'sender.nodeId !== identity.nodeId ||\n    sender.agentId !== identity.agentId\n',
    replace: 'sender.nodeId !== identity.nodeId\n',
    note: 'does not compare the agent of a message with that of the certificate',
    mayBreak: ['HSK-05', 'SIG-03', 'SIG-05', 'AUT-03'],
  },
  {
    id: 'tls-ca-as-node',
    kills: ['TLS-06'],
    file: certificate,
    find: 'return first?.tag !== der.tags.boolean || !der.isTrue(first);',
    replace: 'return true;',
    note: "takes a CA's certificate as a node's",
    mayBreak: ['AUT-01', 'TLS-08'],
  },
  {
    id: 'tls-intermediate-accepted',
    kills: ['TLS-06'],
    file: certificate,
    find: 'if (!der.sameBytes(fields.issuer, authority.subject)) return null;',
    replace: '',
    also: [
      {
        file: certificate,
        find: 'if (!world.verify(authority.publicKey, fields.tbs, fields.signature)) return null;',
        replace: '',
      },
    ],
    note: 'does not ask who issued a certificate: an intermediate will do',
    mayBreak: ['AUT-01', 'TLS-05', 'TLS-08'],
  },
];
