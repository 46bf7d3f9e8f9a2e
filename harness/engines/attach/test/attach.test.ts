import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createPlainServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { expect } from 'chai';
import { UsageError } from '../../../usage-error.ts';
import { type Authority, createAuthority } from '../../../wire/authority.ts';
import { freshIdentity } from '../../../wire/identity.ts';
import { attach } from '../attach.ts';

describe('a node at somebody’s address', () => {
  let folder: string;
  let authority: Authority;
  let server: Server;
  let address: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cle-attach-'));
    authority = await createAuthority();
    const identity = freshIdentity();
    server = createServer(
      {
        key: identity.keyPem,
        cert: (await authority.issue(identity)).pem,
        ca: authority.certificatePem,
        requestCert: true,
        minVersion: 'TLSv1.3',
      },
      (socket) => socket.on('error', () => {}),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  });
  beforeEach(() => {
    writeFileSync(join(folder, 'ca.crt'), authority.certificatePem);
    writeFileSync(join(folder, 'ca.key'), authority.keyPem);
  });
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  const refusal = async (where: string): Promise<string> => {
    const error = await attach(where, folder, 1000).then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    expect(error).to.be.instanceOf(UsageError);
    expect(error!.message).to.not.match(/\n/);
    return error!.message;
  };

  it('is reached with an identity of its CA, and nothing can be done to it', async () => {
    const node = await attach(address, folder);
    expect(node.abilities.size).to.equal(0);
    expect((await node.authority.issue(freshIdentity())).pem).to.match(/^-----BEGIN CERTIFICATE/);
  });

  it('needs the key of the CA', async () => {
    rmSync(join(folder, 'ca.key'));
    expect(await refusal(address)).to.match(/^--ca: \S+ holds no ca\.key \(the key that issues identities/);
    writeFileSync(join(folder, 'ca.key'), (await createAuthority()).keyPem);
    expect(await refusal(address)).to.match(/does not belong to the CA certificate/);
    writeFileSync(join(folder, 'ca.key'), 'nonsense');
    expect(await refusal(address)).to.match(/^--ca: ca\.crt and ca\.key in/);
  });

  it('must answer, with TLS', async () => {
    expect(await refusal('127.0.0.1:1')).to.equal('--address: nothing listens on 127.0.0.1:1');
    expect(await refusal('nonsense')).to.match(/is not HOST:PORT/);
    expect(await refusal('127.0.0.1:99999')).to.match(/is not HOST:PORT/);
    const plain = createPlainServer((socket) => socket.end('hello\n'));
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const there = `127.0.0.1:${(plain.address() as { port: number }).port}`;
    expect(await refusal(there)).to.match(/accepts no TLS 1\.3 handshake .*wrong version number/);
    plain.close();
  });
});
