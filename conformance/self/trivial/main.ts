/**
 * A node that implements nothing: started with CLE_CONFIG like any other, it accepts TLS and WebSockets and then behaves as its
 * one argument says (behaviours.ts). The suite must give such a node no M row but the positive controls.
 */

import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { WebSocketServer } from 'ws';
import { parse as parseYaml } from 'yaml';
import { type Behaviour, behaviours, type Self } from './behaviours.ts';
import { identityFromPem } from './identity.ts';

interface Configuration {
  agent_id: string;
  listen: string;
  advertise: string;
  key_file: string;
  certificate_file: string;
  ca_file: string;
}

function run(behaviour: Behaviour): void {
  const configuration = parseYaml(readFileSync(process.env.CLE_CONFIG ?? '', 'utf8')) as Configuration;
  const key = readFileSync(configuration.key_file, 'utf8');
  const self: Self = {
    identity: identityFromPem(key, configuration.agent_id),
    address: configuration.advertise,
    remembered: [],
  };
  const colon = configuration.listen.lastIndexOf(':');
  const server = createServer({
    key,
    cert: readFileSync(configuration.certificate_file),
    ca: readFileSync(configuration.ca_file),
    requestCert: true,
    rejectUnauthorized: behaviour.authenticates,
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_256_GCM_SHA384',
  });
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'cle-net.v1' });
  sockets.on('connection', (socket) => {
    socket.on('error', () => {});
    behaviour.opened?.(socket, self);
    socket.on('message', (data, isBinary) => {
      const text = isBinary ? '' : data.toString();
      behaviour.received?.(socket, text, self);
    });
  });
  sockets.on('error', () => {});
  server.on('tlsClientError', () => {});
  if (behaviour.connected !== undefined) server.on('secureConnection', behaviour.connected);
  server.listen(Number(configuration.listen.slice(colon + 1)), configuration.listen.slice(0, colon));
}

const behaviour = behaviours[process.argv[2] ?? ''];
if (behaviour === undefined) {
  process.stderr.write(`trivial node: there are ${Object.keys(behaviours).join(', ')}\n`);
  process.exitCode = 2;
} else run(behaviour);
