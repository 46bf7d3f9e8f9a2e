/** The bypass check on plain data, and the kernel's view of real connections. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { bypass } from '../bypass.ts';
import type { LinkCounters } from '../fault-plane.ts';
import { dialersOf, parseSocketTable } from '../sockets.ts';
import { dial, listen } from './servers.ts';

const link = (from: string, to: string, accepted: number | null): LinkCounters => ({
  from,
  to,
  accepted,
  open: accepted,
  bytesForth: accepted,
  bytesBack: accepted,
});
const counters = [
  link('a', 'b', 0),
  link('b', 'a', 3),
  link('a', 'c', 0),
  link('c', 'a', 0),
  link('b', 'c', 1),
  link('c', 'b', 0),
];
const peers = (...pairs: string[]) => pairs.map(([node, peer]) => ({ node: node!, peer: peer! }));

describe('bypass', () => {
  it('passes when every pair of peers met through one of its two links', () => {
    const finding = bypass(counters, { peerings: peers('ab', 'ba', 'cb'), sockets: null });
    expect(finding).to.include({ id: 'links.bypass', verdict: 'pass' });
  });

  it('fails when a pair knows each other and neither link was used', () => {
    const finding = bypass(counters, { peerings: peers('ab', 'ac', 'ca'), sockets: null });
    expect(finding.verdict).to.equal('fail');
    expect(finding.evidence).to.deep.equal(['a and c']);
  });

  it('fails when the kernel knows of a dialer that is not ours, whatever the counters say', () => {
    const sockets = [
      { node: 'a', ours: 4, others: 0 },
      { node: 'b', ours: 1, others: 2 },
    ];
    const finding = bypass(counters, { peerings: peers('ab'), sockets });
    expect([finding.verdict, finding.evidence]).to.deep.equal(['fail', [{ node: 'b', ours: 1, others: 2 }]]);
  });

  it('is unknown without exposure, and where nobody counts', () => {
    expect(bypass(counters, { peerings: [], sockets: null }).verdict).to.equal('unknown');
    expect(bypass([], { peerings: peers('ab'), sockets: null }).verdict).to.equal('unknown');
    expect(bypass([link('a', 'b', null)], { peerings: peers('ab'), sockets: null }).verdict).to.equal(
      'unknown',
    );
    const idle = [{ node: 'a', ours: 0, others: 0 }];
    expect(bypass([link('a', 'b', null)], { peerings: peers('ab'), sockets: idle }).verdict).to.equal(
      'unknown',
    );
  });

  it('takes the kernel alone where the server does not count', () => {
    const sockets = [{ node: 'a', ours: 2, others: 0 }];
    expect(bypass([link('a', 'b', null)], { peerings: peers('ab'), sockets }).verdict).to.equal('pass');
  });

  it('asks no dialer of a listener with one proxy for all', () => {
    const one = [link('*', 'a', 5), link('*', 'b', 0), link('*', 'c', 0)];
    expect(bypass(one, { peerings: peers('ab', 'ca'), sockets: null }).verdict).to.equal('pass');
    expect(bypass(one, { peerings: peers('bc'), sockets: null }).verdict).to.equal('fail');
  });
});

describe('sockets', () => {
  it('reads the kernel tables', () => {
    const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:22B8 0200007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0
   1: 0000000000000000FFFF00000100007F:22B8 0000000000000000FFFF00000300007F:C002 06 00000000:00000000 00:00000000 00000000  0 0 0 1
`;
    expect(parseSocketTable(text)).to.deep.equal([
      { local: '127.0.0.1:8888', remote: '127.0.0.2:49153', established: true, inode: 4711 },
      { local: '127.0.0.1:8888', remote: '127.0.0.3:49154', established: false, inode: 0 },
    ]);
  });

  it('tells our connections from those of another process', async function () {
    if (process.platform !== 'linux') this.skip();
    const far = await listen((socket) => socket.resume());
    const ours = await dial(far.address);
    const [host, port] = far.address.split(':');
    const child = spawn(process.execPath, [
      '-e',
      `require('net').connect(${port}, '${host}').on('connect', () => console.log('up'))`,
    ]);
    await once(child.stdout, 'data');
    expect(dialersOf([{ node: 'n', address: far.address }])).to.deep.equal([
      { node: 'n', ours: 1, others: 1 },
    ]);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    expect(dialersOf([{ node: 'n', address: far.address }])).to.deep.equal([
      { node: 'n', ours: 1, others: 0 },
    ]);
    ours.destroy();
    await far.close();
  });
});
