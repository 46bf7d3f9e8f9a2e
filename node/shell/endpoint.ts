/**
 * Where something listens: `host:port` in text, in parts, and why it cannot be listened on. Opens nothing.
 */

/** `host` without brackets; `port` 0 only where a program asks for any free one. */
export interface Endpoint {
  host: string;
  port: number;
}

/** `host:port` with IPv6 in brackets → its parts, or null. Port 0 … 65 535. */
export function parseAddress(address: string): Endpoint | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+(?:%[^\]\s]+)?)\]|([^\s:[\]/@?#]+)):(\d{1,5})$/.exec(address);
  if (!match) return null;
  const port = Number(match[3]);
  return port > 65_535 ? null : { host: (match[1] ?? match[2])!, port };
}

export function addressOf({ host, port }: Endpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Why an endpoint cannot be listened on, in words for whoever configured it. */
export function whyNot(error: NodeJS.ErrnoException, endpoint: Endpoint): string {
  const where = addressOf(endpoint);
  if (error.code === 'EADDRINUSE') return `${where} is in use`;
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND')
    return `${where} is no address of this machine`;
  if (error.code === 'EACCES') return `${where} needs a privilege that this process has not`;
  return `${where} cannot be listened on: ${error.message}`;
}
