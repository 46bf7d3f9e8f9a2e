/** A good configuration in wire names (§10), and changes of one key that make it a wrong one. */

export const KEY = Buffer.alloc(32, 7).toString('base64');

/** The example of §10. */
export const good = {
  agent_id: 'agent_7',
  listen: '0.0.0.0:8888',
  advertise: 'node-7:8888',
  key_file: '/cle/node.key',
  certificate_file: '/cle/node.crt',
  ca_file: '/cle/ca.crt',
  data_dir: '/cle/data',
  bootstrap_nodes: [{ host: 'node-1', port: 8888, public_key: KEY }],
};

/** What is changed in the example, the key that the complaint must name, and what it says is allowed. */
export const wrong: readonly [key: string, change: Record<string, unknown>, allowed: RegExp][] = [
  ['agents_id', { agents_id: 'x' }, /unknown key; allowed are agent_id, listen/],
  ['agent_id', { agent_id: 7 }, /non-empty string/],
  ['agent_id', { agent_id: 'agent_' }, /agent_ and 1 to 64/],
  ['agent_id', { agent_id: `agent_${'a'.repeat(65)}` }, /agent_ and 1 to 64/],
  ['agent_id', { agent_id: 'agent_ü' }, /agent_ and 1 to 64/],
  ['listen', { listen: '8888' }, /host:port/],
  ['listen', { listen: '0.0.0.0:70000' }, /1 to 65535/],
  ['listen', { listen: '::1:8888' }, /\[addr\]:port/],
  ['listen', { listen: '0.0.0.0:0' }, /1 to 65535/],
  ['advertise', { advertise: 'node-7' }, /host:port/],
  ['key_file', { key_file: '' }, /non-empty string/],
  ['bootstrap_nodes', { bootstrap_nodes: null }, /list/],
  ['bootstrap_nodes[0]', { bootstrap_nodes: ['node-1:8888'] }, /map \{host, port, public_key\}/],
  ['bootstrap_nodes[0].port', { bootstrap_nodes: [{ host: 'a', port: '1', public_key: KEY }] }, /1 to 65535/],
  ['bootstrap_nodes[0].host', { bootstrap_nodes: [{ host: 'a:1', port: 1, public_key: KEY }] }, /host name/],
  ['bootstrap_nodes[0].host', { bootstrap_nodes: [{ port: 1, public_key: KEY }] }, /host name/],
  [
    'bootstrap_nodes[0].public_key',
    { bootstrap_nodes: [{ host: 'a', port: 1, public_key: 'AAAA' }] },
    /32-byte/,
  ],
  [
    'bootstrap_nodes[0].key',
    { bootstrap_nodes: [{ host: 'a', port: 1, public_key: KEY, key: 1 }] },
    /unknown key/,
  ],
  ['hosts', { hosts: ['a'] }, /map of names/],
  ['hosts.a', { hosts: { a: 1 } }, /address/],
  ['metrics', { metrics: 9100 }, /host:port/],
  ['parameters', { parameters: [1] }, /map of names/],
  ['parameters.fan_out', { parameters: { fan_out: 3 } }, /unknown; allowed are fanout, ttl/],
  ['parameters.fanout', { parameters: { fanout: 0 } }, /integer of at least 1/],
  ['parameters.fanout', { parameters: { fanout: 2.5 } }, /integer of at least 1/],
  ['parameters.ttl', { parameters: { ttl: '3' } }, /integer of at least 1/],
  ['parameters.cache_ttl_s', { parameters: { cache_ttl_s: 0 } }, /above 0/],
  ['parameters.cache_ttl_s', { parameters: { cache_ttl_s: Number.NaN } }, /above 0/],
  ['parameters.anti_entropy_interval_s', { parameters: { anti_entropy_interval_s: -1 } }, /0 or more/],
];
