/** The contract of both fault servers, what their API refuses: with which status, and in which words. */

import { expect } from 'chai';
import { contract } from './contract.ts';

const refusals: [
  what: string,
  method: string,
  path: string,
  body: string | undefined,
  status: number,
  text: string,
][] = [
  ['an unknown path', 'GET', '/nope', undefined, 404, '404 page not found\n'],
  ['a trailing slash', 'GET', '/proxies/', undefined, 404, '404 page not found\n'],
  ['a wrong method', 'PUT', '/proxies', '', 405, ''],
  ['OPTIONS', 'OPTIONS', '/version', undefined, 405, ''],
  ['an empty body', 'POST', '/proxies', '', 400, 'bad request body: EOF'],
  ['a body cut short', 'POST', '/proxies', '{"name":"x"', 400, 'bad request body: unexpected EOF'],
  [
    'a body that is an array',
    'POST',
    '/proxies',
    '[]',
    400,
    'bad request body: json: cannot unmarshal array into Go value of type toxiproxy.Proxy',
  ],
  [
    'a name that is a number',
    'POST',
    '/proxies',
    '{"name":3}',
    400,
    'bad request body: json: cannot unmarshal number into Go struct field Proxy.name of type string',
  ],
  ['null as a body', 'POST', '/proxies', 'null', 400, 'missing required field: name'],
  ['no name', 'POST', '/proxies', '{"upstream":"x:1"}', 400, 'missing required field: name'],
  ['no upstream', 'POST', '/proxies', '{"name":"q"}', 400, 'missing required field: upstream'],
  ['a proxy twice', 'POST', '/proxies', '{"name":"p","upstream":"x:1"}', 409, 'proxy already exists'],
  [
    'an address without a port',
    'POST',
    '/proxies',
    '{"name":"q","upstream":"x:1","listen":"garbage"}',
    500,
    'listen tcp: address garbage: missing port in address',
  ],
  [
    'a port out of range',
    'POST',
    '/proxies',
    '{"name":"q","upstream":"x:1","listen":"127.0.0.1:99999"}',
    500,
    'listen tcp: address 99999: invalid port',
  ],
  [
    'a foreign address',
    'POST',
    '/proxies',
    '{"name":"q","upstream":"x:1","listen":"203.0.113.1:80"}',
    500,
    'listen tcp 203.0.113.1:80: bind: cannot assign requested address',
  ],
  [
    'a changed address without a port',
    'POST',
    '/proxies/p',
    '{"listen":"garbage"}',
    500,
    'address garbage: missing port in address',
  ],
  [
    'enabled as a text',
    'POST',
    '/proxies/p',
    '{"enabled":"yes"}',
    400,
    'bad request body: json: cannot unmarshal string into Go struct field Proxy.enabled of type bool',
  ],
  ['an unknown proxy', 'GET', '/proxies/none', undefined, 404, 'proxy not found'],
  ['toxics of an unknown proxy', 'GET', '/proxies/none/toxics', undefined, 404, 'proxy not found'],
  ['an unknown toxic', 'GET', '/proxies/p/toxics/none', undefined, 404, 'toxic not found'],
  ['deleting an unknown toxic', 'DELETE', '/proxies/p/toxics/none', undefined, 404, 'toxic not found'],
  ['an unknown type', 'POST', '/proxies/p/toxics', '{"type":"down"}', 400, 'invalid toxic type'],
  ['no type', 'POST', '/proxies/p/toxics', '{}', 400, 'invalid toxic type'],
  [
    'an empty stream',
    'POST',
    '/proxies/p/toxics',
    '{"type":"latency","stream":""}',
    400,
    'stream was invalid, can be either upstream or downstream',
  ],
  [
    'a wrong stream before a wrong type',
    'POST',
    '/proxies/p/toxics',
    '{"type":"nope","stream":"x"}',
    400,
    'stream was invalid, can be either upstream or downstream',
  ],
  [
    'a fraction as an integer',
    'POST',
    '/proxies/p/toxics',
    '{"type":"latency","attributes":{"latency":1.5}}',
    400,
    'bad request body: json: cannot unmarshal number 1.5 into Go struct field LatencyToxic.attributes.latency of type int64',
  ],
  [
    'a text as an integer',
    'POST',
    '/proxies/p/toxics',
    '{"type":"latency","attributes":{"latency":"5"}}',
    400,
    'bad request body: json: cannot unmarshal string into Go struct field LatencyToxic.attributes.latency of type int64',
  ],
  [
    'a text as a toxicity',
    'POST',
    '/proxies/p/toxics',
    '{"type":"latency","toxicity":"x"}',
    400,
    'bad request body: json: cannot unmarshal string into Go struct field ToxicWrapper.toxicity of type float32',
  ],
];

contract('API', (stage) => {
  for (const [what, method, path, body, status, text] of refusals) {
    it(`refuses ${what}`, async () => {
      const reply = await stage.call(method, path, body);
      expect(reply.status).to.equal(status);
      if (!text.endsWith('\n') && text !== '') {
        expect(JSON.parse(reply.text)).to.deep.equal({ error: text, status });
        expect(reply.type).to.equal('text/plain; charset=utf-8');
      } else expect(reply.text).to.equal(text);
    });
  }

  it('refuses browsers', async () => {
    const response = await fetch(`${stage.server.url}/version`, { headers: { 'User-Agent': 'Mozilla/5.0' } });
    expect([response.status, await response.text()]).to.deep.equal([403, 'User agent not allowed\n']);
  });
});
