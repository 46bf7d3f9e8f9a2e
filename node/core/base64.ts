/** Base64 as the profile means it: standard alphabet, padded, unused bits zero. Knows no field and no key. */

/** The bytes, or null unless `text` is a string in exactly the canonical form (and of `length` bytes, if given). */
export function decodeBase64(text: unknown, length?: number): Uint8Array | null {
  if (typeof text !== 'string') return null;
  if (length !== undefined && text.length !== Math.ceil(length / 3) * 4) return null;
  // Node decodes leniently (URL alphabet, white space, spare bits): only the re-encoding tells (§11).
  const bytes = Buffer.from(text, 'base64');
  if (length !== undefined && bytes.length !== length) return null;
  return bytes.toString('base64') === text ? bytes : null;
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
