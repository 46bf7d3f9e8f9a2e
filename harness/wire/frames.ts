/**
 * RFC 6455 frames, written and read by ourselves so that a puppet can also send what no library would. Bytes only: no
 * socket, no message. Legality of what is sent is the caller's business; what is read is checked.
 */

import { randomBytes } from 'node:crypto';

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface OutgoingFrame {
  opcode: number;
  payload?: Uint8Array | string;
  /** Default true. */
  fin?: boolean;
  /** The three reserved bits, 0–7. Default 0. */
  rsv?: number;
  /** Default: what the role asks for (a dialer masks). */
  mask?: boolean;
  /** A length to declare in place of the true one. */
  declaredLength?: number;
}

export interface Frame {
  fin: boolean;
  rsv: number;
  opcode: number;
  masked: boolean;
  payload: Buffer;
}

export function encodeFrame(frame: OutgoingFrame & { mask: boolean }): Buffer {
  const payload =
    typeof frame.payload === 'string' ? Buffer.from(frame.payload) : Buffer.from(frame.payload ?? []);
  const length = frame.declaredLength ?? payload.length;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extended + (frame.mask ? 4 : 0));
  head[0] = ((frame.fin ?? true) ? 0x80 : 0) | ((frame.rsv ?? 0) << 4) | frame.opcode;
  head[1] = (frame.mask ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!frame.mask) return Buffer.concat([head, payload]);
  const key = randomBytes(4);
  key.copy(head, 2 + extended);
  return Buffer.concat([head, masked(payload, key)]);
}

function masked(payload: Buffer, key: Buffer): Buffer {
  const result = Buffer.allocUnsafe(payload.length);
  for (let i = 0; i < payload.length; i += 1) result[i] = payload[i]! ^ key[i & 3]!;
  return result;
}

/** Close payload: code and reason. */
export function closePayload(code: number, reason = ''): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code);
  payload.write(reason, 2);
  return payload;
}

/** Takes bytes in any portions, gives whole frames. */
export function frameReader(): { push(chunk: Buffer): Frame[] } {
  let pending: Buffer[] = [];
  let held = 0;
  /** Bytes the frame under way is known to need; nothing is joined before they are there. */
  let needed = 2;

  const take = (bytes: Buffer): { frame: Frame; rest: Buffer } | null => {
    const first = bytes[0]!;
    const second = bytes[1]!;
    const short = second & 0x7f;
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    const isMasked = (second & 0x80) !== 0;
    const start = 2 + extended + (isMasked ? 4 : 0);
    if (bytes.length < start) {
      needed = start;
      return null;
    }
    const length =
      extended === 2 ? bytes.readUInt16BE(2) : extended === 8 ? Number(bytes.readBigUInt64BE(2)) : short;
    if (bytes.length < start + length) {
      needed = start + length;
      return null;
    }
    const body = bytes.subarray(start, start + length);
    const payload = isMasked ? masked(body, bytes.subarray(start - 4, start)) : body;
    const frame = {
      fin: (first & 0x80) !== 0,
      rsv: (first >> 4) & 7,
      opcode: first & 15,
      masked: isMasked,
      payload,
    };
    return { frame, rest: bytes.subarray(start + length) };
  };

  return {
    push(chunk) {
      pending.push(chunk);
      held += chunk.length;
      if (held < needed) return [];
      let bytes = pending.length === 1 ? chunk : Buffer.concat(pending);
      const frames: Frame[] = [];
      needed = 2;
      while (bytes.length >= 2) {
        const taken = take(bytes);
        if (taken === null) break;
        frames.push(taken.frame);
        bytes = taken.rest;
        needed = 2;
      }
      pending = bytes.length === 0 ? [] : [bytes];
      held = bytes.length;
      return frames;
    },
  };
}
