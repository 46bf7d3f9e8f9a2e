/** Standard, padded, canonical base64 (profile, opening words): decoding refuses every other spelling of the same bytes. */

/** The bytes, or null where `text` is not exactly what `encodeBase64` would have written. */
export function decodeBase64(text: unknown): Buffer | null {
  if (typeof text !== 'string') return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
