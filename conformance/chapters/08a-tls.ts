/** § 8.1 TLS: who may connect at all. Refusals are made with real handshakes, each beside a twin that must succeed. */

import { generateKeyPairSync } from 'node:crypto';
import { createAuthority, selfSigned } from '../../harness/wire/authority.ts';
import { identityFrom } from '../../harness/wire/identity.ts';
import { openTcp, subprotocol } from '../../harness/wire/transport.ts';
import type { Bench } from '../bench.ts';
import { refusedWithTwin, tryHandshake } from '../expect.ts';
import { isNode } from '../probe.ts';
import type { PuppetOptions } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

const dayMs = 86_400_000;
const clientAuth = '1.3.6.1.5.5.7.3.2';
const serverAuth = '1.3.6.1.5.5.7.3.1';
const anyUsage = '2.5.29.37.0';
const oldSuites = 'DEFAULT@SECLEVEL=0';

type Certified = NonNullable<PuppetOptions['certificate']>;

/** Each certificate is refused, and an honest one accepted beside it. */
async function allRefused(
  bench: Bench,
  node: NodeUnderTest,
  variants: Record<string, PuppetOptions>,
): Promise<void> {
  const honest = await bench.puppet('honest');
  for (const [what, options] of Object.entries(variants)) {
    const stranger = await bench.puppet(what, options);
    await refusedWithTwin(bench, {
      what,
      bad: () => tryHandshake(stranger, node),
      twin: () => tryHandshake(honest, node),
    });
  }
}

/** What a port answers to bytes that are no TLS, until it closes. */
async function plainAnswer(address: string, text: string): Promise<{ answer: string; closed: boolean }> {
  const socket = await openTcp(address);
  if ('kind' in socket) return { answer: '', closed: true };
  return new Promise((resolve) => {
    let answer = '';
    const settle = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ answer, closed });
    };
    const timer = setTimeout(() => settle(false), 9_000);
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('end', () => settle(true)).on('close', () => settle(true));
    socket.write(text);
  });
}

/** A peer with a P-256 key, certified by the CA; its envelopes name its Ed25519 key. */
function otherKind(bench: Bench): PuppetOptions {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyPem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const publicKeySpki = publicKey.export({ format: 'der', type: 'spki' });
  return {
    identity: { ...identityFrom(`${bench.target.salt}/${bench.seed}/another kind of key`), keyPem },
    certificate: { publicKeySpki },
  };
}

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
    id: 'TLS-02',
    level: 'must',
    section: '8.1',
    role: 's',
    quote: 'TLS 1.3 with `TLS_AES_256_GCM_SHA384` or nothing, on both sides.',
    reading:
      'Who offers TLS 1.2 at most, or no TLS, gets no connection; without TLS nothing of the protocol is told.',
    ruling:
      'An HTTP error to plain HTTP (as some TLS libraries send it) tells nothing; an upgrade or a name of the node does.',
    mutants: ['tls-server-takes-1.2', 'tls-plain-text-served'],
    needs: [],
    durationHintMs: 1_000,
    test: async (bench) => {
      const node = await bench.shared();
      await isNode(bench, node);
      const honest = await bench.puppet('honest');
      const offers = {
        'a dialer with TLS 1.2 alone': {
          minVersion: 'TLSv1.2',
          maxVersion: 'TLSv1.2',
          ciphers: oldSuites,
        },
        'a dialer with TLS 1.0 to 1.2': { minVersion: 'TLSv1', maxVersion: 'TLSv1.2', ciphers: oldSuites },
      } as const;
      for (const [what, tls] of Object.entries(offers)) {
        await refusedWithTwin(bench, {
          what,
          bad: () => tryHandshake(honest, node, { tls }),
          twin: () => tryHandshake(honest, node),
        });
      }
      bench.step('asking for an upgrade without TLS');
      const { answer, closed } = await plainAnswer(
        node.address,
        [
          'GET / HTTP/1.1',
          `Host: ${node.address}`,
          'Upgrade: websocket',
          'Connection: Upgrade',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          'Sec-WebSocket-Version: 13',
          `Sec-WebSocket-Protocol: ${subprotocol}`,
          '\r\n',
        ].join('\r\n'),
      );
      const leaks = ['101 ', subprotocol, node.nodeId, node.agentId, node.publicKey];
      const leak = leaks.find((name) => answer.includes(name));
      if (leak !== undefined) fail(`without TLS the node answered ${JSON.stringify(answer.slice(0, 200))}`);
      if (!closed) late('a connection without TLS was still open after 9 s', answer);
      return pass(
        `TLS 1.2 and plain text were refused (${Buffer.byteLength(answer)} bytes of alert or error)`,
      );
    },
  },
  {
    id: 'TLS-03',
    level: 'must',
    section: '8.1',
    role: 's',
    quote: '- "TLS_AES_256_GCM_SHA384"',
    reading:
      'A dialer that offers only another suite of TLS 1.3 is refused; one that prefers others, but has the right one, gets that.',
    mutants: ['tls-server-all-suites', 'tls-server-prefers-aes-128'],
    needs: [],
    durationHintMs: 700,
    test: async (bench) => {
      const node = await bench.shared();
      await isNode(bench, node);
      const honest = await bench.puppet('honest');
      const [chacha, aes128] = ['TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'];
      for (const ciphers of [aes128, chacha, 'TLS_AES_128_CCM_SHA256', `${chacha}:${aes128}`]) {
        await refusedWithTwin(bench, {
          what: `a dialer with ${ciphers} alone`,
          bad: () => tryHandshake(honest, node, { tls: { ciphers } }),
          twin: () => tryHandshake(honest, node),
        });
      }
      const mixed = await honest.mustDial(node, {
        tls: { ciphers: `${chacha}:${aes128}:TLS_AES_256_GCM_SHA384` },
      });
      if (mixed.tls.cipher !== 'TLS_AES_256_GCM_SHA384')
        fail(`of three suites the node chose ${mixed.tls.cipher}`);
      return pass('other suites alone were refused; of all three the right one was chosen');
    },
  },
  {
    id: 'TLS-04',
    level: 'must',
    section: '8.1',
    role: 's',
    quote: 'Both sides present a certificate, and each must prove the other',
    reading: 'A dialer without a certificate gets no connection.',
    mutants: ['tls-anonymous-client'],
    needs: [],
    durationHintMs: 300,
    test: async (bench) => {
      const node = await bench.shared();
      await isNode(bench, node);
      const honest = await bench.puppet('honest');
      await refusedWithTwin(bench, {
        what: 'a dialer without a certificate',
        bad: () => tryHandshake(honest, node, { tls: { anonymous: true } }),
        twin: () => tryHandshake(honest, node),
      });
      return pass('a dialer without a certificate was refused, with one accepted');
    },
  },
  {
    id: 'TLS-05',
    level: 'must',
    section: '8.1',
    role: 's',
    quote: '- selfsigned_allowed: false',
    reading:
      'A client certificate that is self-signed, not signed by the CA under its name, not valid now, or without both usages gets no connection.',
    ruling: 'Profile §1, "proves"; §2: "Refusal may be a TLS alert, closing, or HTTP 403 to the upgrade".',
    mutants: [
      'tls-any-certificate',
      'tls-strangers-unheard',
      'tls-purpose-unchecked',
      'tls-client-usage-enough',
      'tls-expiry-unchecked',
      'tls-not-before-unchecked',
    ],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const now = Date.now();
      const sameName = await createAuthority();
      const otherName = await createAuthority({ name: 'Somebody else' });
      const broken = (der: Buffer): Buffer => {
        der[der.length - 1] = der.at(-1)! ^ 1;
        return der;
      };
      const certificates: Record<string, Certified> = {
        'a self-signed certificate': selfSigned,
        "a certificate of another CA under the CA's name": (identity) => sameName.issue(identity),
        'a certificate of another CA': (identity) => otherName.issue(identity),
        "a certificate of the CA's key under another name": { issuerName: 'Somebody else' },
        'a certificate with a changed bit in its signature': { tamper: broken },
        'an expired certificate': { notBeforeMs: now - 9 * dayMs, notAfterMs: now - dayMs },
        'a certificate that expired an hour ago': {
          notBeforeMs: now - 9 * dayMs,
          notAfterMs: now - dayMs / 24,
        },
        'a not yet valid certificate': { notBeforeMs: now + dayMs, notAfterMs: now + 9 * dayMs },
        'a certificate for clients only': { extendedKeyUsage: [clientAuth] },
        'a certificate for servers only': { extendedKeyUsage: [serverAuth] },
        'a certificate without usages': { extendedKeyUsage: null },
        'a certificate for any usage, by that name': { extendedKeyUsage: [anyUsage] },
      };
      const variants = Object.entries(certificates).map(([what, certificate]) => [what, { certificate }]);
      await allRefused(bench, node, Object.fromEntries(variants));
      return pass(`${variants.length} certificates were refused, an honest one was accepted each time`);
    },
  },
  {
    id: 'TLS-06',
    level: 'must',
    section: '8.1',
    role: 's',
    quote:
      'of the URIs\nin its SAN exactly one begins with `urn:cle-net:agent:`, and the rest of it is the agent id (other names are ignored). There are no intermediates',
    reading:
      'A certificate that names no agent, two, or one in a wrong form, that is a CA, over another kind of key, or issued by an intermediate is refused, and a sender who is not the agent of its certificate closed 4401; other names do no harm.',
    mutants: [
      'tls-strangers-unheard',
      'tls-agent-first-of-two',
      'tls-agent-last-of-two',
      'tls-agent-unread',
      'tls-agent-form-unchecked',
      'tls-agent-not-compared',
      'tls-ca-as-node',
      'tls-intermediate-accepted',
    ],
    needs: [],
    durationHintMs: 1_800,
    test: async (bench) => {
      const node = await bench.shared();
      const below = await bench.target.authority.intermediate();
      const own = 'agent_first';
      const of = (certificate: Certified): PuppetOptions => ({ agentId: own, certificate });
      const long = `agent_${'x'.repeat(65)}`;
      await allRefused(bench, node, {
        'a certificate without an agent id': of({ agentIds: [] }),
        'a certificate whose only URI is another': of({ agentIds: [`urn:other-net:agent:${own}`] }),
        'a certificate with the agent as a DNS name': of({
          agentIds: [],
          otherNames: [{ type: 'dns', value: own }],
        }),
        'a certificate with two agent ids, its own first': of({ agentIds: [own, 'agent_second'] }),
        'a certificate with two agent ids, its own last': of({ agentIds: ['agent_second', own] }),
        'a certificate with its agent id twice': of({ agentIds: [own, own] }),
        'a certificate with an empty agent id': {
          agentId: 'agent_',
          certificate: { agentIds: ['agent_'] },
        },
        'a certificate with an agent id of 65 characters': {
          agentId: long,
          certificate: { agentIds: [long] },
        },
        'a certificate with an agent id in another form': { agentId: 'robot', certificate: {} },
        'a certificate of a CA': of({ basicConstraints: 'authority' }),
        'a certificate of an intermediate': of((identity) => below.issue(identity)),
        'a certificate over a P-256 key': otherKind(bench),
      });
      const honest = await bench.puppet('honest');
      const impostor = await bench.puppet('impostor', { certificate: { agentIds: ['agent_somebody'] } });
      await refusedWithTwin(bench, {
        what: 'a hello of an agent that the certificate does not name',
        code: 'IDENTITY_MISMATCH',
        close: 4401,
        bad: () => tryHandshake(impostor, node),
        twin: () => tryHandshake(honest, node),
      });
      const names = [
        { type: 'dns', value: 'node.example' },
        { type: 'url', value: 'https://node.example/' },
        { type: 'url', value: 'urn:other-net:agent:agent_second' },
        { type: 'ip', value: '127.0.0.1' },
      ] as const;
      const longest = `agent_${'Z_-9'.repeat(16)}`;
      const accepted: Record<string, PuppetOptions> = {
        'a leaf by its constraints': { certificate: { basicConstraints: 'leaf' } },
        'one with other names beside the agent': { certificate: { otherNames: names } },
        'one with the longest agent id': { agentId: longest },
      };
      for (const [what, options] of Object.entries(accepted)) {
        bench.step(`connecting as ${what}`);
        const outcome = await tryHandshake(await bench.puppet(what, options), node);
        if (!outcome.accepted) fail(`${what} was refused: ${outcome.detail}`);
      }
      return pass('12 certificates and an impostor were refused; a leaf and other names were accepted');
    },
  },
];
