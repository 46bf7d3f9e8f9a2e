// The control of the bring-up bar: reads the node's configuration and opens a TLS listener with its key, nothing else.
const { readFileSync } = require('node:fs');
const { createServer } = require('node:tls');
const text = readFileSync(process.env.CLE_CONFIG, 'utf8');
const value = (key) => text.match(new RegExp(`^${key}: "?([^"\\n]+)"?$`, 'm'))[1];
const [host, port] = value('listen').split(':');
const options = {
  key: readFileSync(value('key_file')),
  cert: readFileSync(value('certificate_file')),
  ca: readFileSync(value('ca_file')),
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: 'TLSv1.3',
};
createServer(options, (socket) => socket.on('error', () => {}))
  .on('tlsClientError', () => {})
  .listen(Number(port), host);
