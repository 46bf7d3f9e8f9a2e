/** `host:port` texts as Go writes and reads them; Toxiproxy's API speaks of addresses in no other form. */

export interface HostPort {
  host: string;
  port: number;
}

export class AddressError extends Error {}

/**
 * Reads `127.0.0.1:80`, `[::1]:80`, `name:80`, `:80` (host empty) and, where `emptyAllowed`, the empty text (any free port).
 * Throws AddressError with Go's words.
 */
export function parseHostPort(text: string): HostPort {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(text);
  if (match === null) throw new AddressError(addressFault(text));
  const host = match[1] ?? match[2] ?? '';
  const portText = match[3]!;
  if (portText !== '' && !/^\d+$/.test(portText))
    throw new AddressError(`lookup tcp/${portText}: unknown port`);
  const port = Number(portText || '0');
  if (port > 65_535) throw new AddressError(`address ${portText}: invalid port`);
  return { host, port };
}

function addressFault(text: string): string {
  const tooMany =
    text.includes(':') && (!text.startsWith('[') || text.lastIndexOf(']') < text.lastIndexOf(':'));
  return `address ${text}: ${tooMany ? 'too many colons in address' : 'missing port in address'}`;
}

export function printHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Both are the same place to listen: `localhost` is 127.0.0.1, and `:80` is `[::]:80` (Toxiproxy restarts in that case). */
export function sameListen(a: string, b: string): boolean {
  return a === b || normalised(a) === normalised(b);
}

function normalised(text: string): string | null {
  try {
    const { host, port } = parseHostPort(text);
    if (port === 0) return null;
    if (host === 'localhost') return `127.0.0.1:${port}`;
    return `${host === '' ? '::' : host}:${port}`;
  } catch {
    return null;
  }
}
