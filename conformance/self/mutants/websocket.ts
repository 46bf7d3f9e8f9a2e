/** Faults in the WebSocket that carries envelopes: upgrade, frames, and texts that are no envelope. */

import type { Mutant } from '../mutant.ts';

const listener = 'node/shell/listener.ts';
const connection = 'node/shell/connection.ts';
const json = 'node/core/json.ts';
const uncompressed = 'perMessageDeflate: false,';
const onBroken = "webSocket.on('error', () => {});";

export const mutants: readonly Mutant[] = [
  {
    id: 'crash-on-null',
    kills: ['ENV-05'],
    file: 'node/core/envelope.ts',
    find: 'if (!isObject(value)) return null;',
    replace: 'if (value === undefined) return null;',
    also: [
      {
        file: 'node/core/envelope.ts',
        find: 'const { version, message_type, message_id, timestamp, sender, payload, signature } = value;',
        replace:
          'const { version, message_type, message_id, timestamp, sender, payload, signature } = value as JsonObject;',
      },
    ],
    note: 'ends with an exception at the text null',
    mayBreak: ['AUT-04', 'GFM-13'],
    ci: true,
  },
  {
    id: 'empty-text-ignored',
    kills: ['ENV-05'],
    file: connection,
    find: 'if (isBinary) events.binary();',
    replace: 'if (data.length === 0) return;\n    if (isBinary) events.binary();',
    note: 'says nothing to an empty text',
  },
  {
    id: 'trailing-comma-read',
    kills: ['ENV-05'],
    file: json,
    find: 'unit = nextUnitAfterSpace();\n    }\n  }\n  depthLeft++;\n  if (dev',
    replace:
      'unit = nextUnitAfterSpace();\n      if (unit === 0x7d) {\n        deviations++;\n        at++;\n        break;\n      }\n    }\n  }\n  depthLeft++;\n  if (dev',
    note: 'forgives a comma behind the last member',
  },
  {
    id: 'text-behind-ignored',
    kills: ['ENV-05'],
    file: json,
    find: "if (at < source.length) fail('text after the value');",
    replace: '',
    note: 'reads the first object of a text and ignores the rest',
  },
  {
    id: 'control-characters-read',
    kills: ['ENV-05'],
    file: json,
    find: "    if (unit < 0x20) {\n      at = i;\n      fail('control character in a string');\n    }\n",
    replace: '    if (unit < 0x20) return readUnusualString(start, i);\n',
    also: [{ file: json, find: 'else if (!(unit >= 0x20)) fail', replace: 'else if (!(unit >= 0)) fail' }],
    note: 'reads control characters in strings',
  },
  {
    id: 'binary-read',
    kills: ['ENV-05', 'ENV-08'],
    file: connection,
    find: 'if (isBinary) events.binary();',
    replace: 'if (isBinary && data.length < 0) events.binary();',
    note: 'reads binary messages like texts',
  },
  {
    id: 'malformed-closes',
    kills: ['ENV-05', 'ENV-02'],
    file: 'node/core/inbound.ts',
    find: 'VERSION_MISMATCH: 4426,',
    replace: 'VERSION_MISMATCH: 4426,\n  MALFORMED: 4400,',
    note: 'closes after one malformed message',
    mayBreak: [
      'CAN-06',
      'CAN-07',
      'CAN-08',
      'CAN-09',
      'CAN-10',
      'SIG-02',
      'SIG-08',
      'GFM-01',
      'AUT-04',
      'HSK-08',
    ],
  },
  {
    id: 'fragment-is-message',
    kills: ['ENV-08'],
    file: connection,
    find: onBroken,
    replace: `${onBroken}
  const receiver = (webSocket as unknown as { _receiver: object })._receiver;
  Object.defineProperty(receiver, '_fin', { get: () => true, set: () => {} });`,
    note: 'takes every frame for a message',
    mayBreak: ['ENV-03', 'ENV-06', 'CAN-08'],
    ci: true,
  },
  {
    id: 'fragments-read-alone',
    kills: ['ENV-08'],
    file: connection,
    find: onBroken,
    replace: `${onBroken}
  const receiver = (webSocket as unknown as { _receiver: any })._receiver;
  const { getData } = receiver;
  receiver.getData = function (done: unknown) {
    const result = getData.call(this, done);
    const last = this._fragments.at(-1);
    if (last && !Buffer.from(last.toString()).equals(last)) webSocket.close(1007);
    return result;
  };`,
    note: 'wants each fragment to be UTF-8 by itself',
  },
  {
    id: 'ping-unanswered',
    kills: ['ENV-08'],
    file: connection,
    find: uncompressed,
    replace: `${uncompressed}\n  autoPong: false,`,
    note: 'does not answer pings',
  },
  {
    id: 'ping-payload-lost',
    kills: ['ENV-08'],
    file: connection,
    find: uncompressed,
    replace: `${uncompressed}\n  autoPong: false,`,
    also: [
      {
        file: connection,
        find: onBroken,
        replace: `${onBroken}\n  webSocket.on('ping', () => webSocket.pong());`,
      },
    ],
    note: 'answers pings with empty pongs',
  },
  {
    id: 'few-fragments-allowed',
    kills: ['ENV-08'],
    file: connection,
    find: 'maxFragments: 2 * MESSAGE_LIMIT,',
    replace: 'maxFragments: 16,',
    note: 'refuses a message of more than 16 fragments',
    mayBreak: ['ENV-06'],
  },
  {
    id: 'emits-binary',
    kills: ['ENV-08'],
    file: connection,
    find: 'webSocket.send(text);',
    replace: 'webSocket.send(Buffer.from(text), { binary: text.includes(\'"state_summary"\') });',
    note: 'sends some messages as binary',
    mayBreak: ['HSK-01', 'GRT-05', 'SIG-02'],
  },
  {
    id: 'unmasked-frames-read',
    kills: ['ENV-08'],
    file: connection,
    find: onBroken,
    replace: `${onBroken}
  const receiver = (webSocket as unknown as { _receiver: { getInfo(cb: unknown): void; _buffers: Buffer[]; _isServer: boolean } })._receiver;
  const { getInfo } = receiver;
  receiver.getInfo = function (this: typeof receiver, cb) {
    const second = Buffer.concat(this._buffers.slice(0, 2).map((part) => part.subarray(0, 2)))[1] ?? 0;
    this._isServer = second >= 128;
    getInfo.call(this, cb);
  };`,
    note: 'reads frames without a mask',
  },
  {
    id: 'close-unanswered',
    kills: ['ENV-08'],
    file: connection,
    find: onBroken,
    replace: `${onBroken}
  const received = (webSocket as unknown as { _receiver: NodeJS.EventEmitter })._receiver;
  received.removeAllListeners('conclude').on('conclude', () => socket.end());`,
    note: 'ends a connection on a close frame without answering it',
    mayBreak: ['*'],
  },
  {
    id: 'any-path',
    kills: ['ENV-09'],
    file: listener,
    find: "if (pathOf(request) !== '/') return refuse(socket, '404 Not Found');",
    replace: '',
    note: 'upgrades on any path',
    ci: true,
  },
  {
    id: 'path-is-400',
    kills: ['ENV-09'],
    file: listener,
    find: "return refuse(socket, '404 Not Found');",
    replace: "return refuse(socket, '400 Bad Request');",
    note: 'answers another path with 400',
  },
  {
    id: 'any-subprotocol',
    kills: ['ENV-09'],
    file: listener,
    find: "if (!offers(request, SUBPROTOCOL)) return refuse(socket, '400 Bad Request');",
    replace: '',
    note: 'upgrades without the subprotocol',
  },
  {
    id: 'subprotocol-by-prefix',
    kills: ['ENV-09'],
    file: listener,
    find: 'offer.trim() === subprotocol',
    replace: "subprotocol.startsWith(offer.trim()) || offer.trim().startsWith('cle-net')",
    note: 'takes any subprotocol that begins like ours',
  },
  {
    id: 'first-subprotocol-only',
    kills: ['ENV-09'],
    file: listener,
    find: "header.split(',').some(",
    replace: "header.split(',', 1).some(",
    note: 'looks at the first subprotocol of an offer',
  },
  {
    id: 'compression-agreed',
    kills: ['ENV-09'],
    file: connection,
    find: uncompressed,
    replace: 'perMessageDeflate: true,',
    note: 'agrees on compression',
  },
  {
    id: 'subprotocol-not-confirmed',
    kills: ['ENV-09'],
    file: listener,
    find: 'handleProtocols: () => SUBPROTOCOL,',
    replace: "handleProtocols: () => (SUBPROTOCOL === '' ? SUBPROTOCOL : false),",
    note: 'does not say which subprotocol it chose',
    mayBreak: ['TLS-01', 'ERR-01', 'LIF-06'],
  },
];
