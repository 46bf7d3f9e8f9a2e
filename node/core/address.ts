/** The form of an address that a node tells others (§4, §5): `host:port`, IPv6 as `[addr]:port`. It resolves nothing. */

const longestAddress = 300;
const form =
  /^(?:\[[0-9a-fA-F:.]{2,45}(?:%[A-Za-z0-9._-]+)?\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?):([0-9]{1,5})$/;

/** A host name, an IPv4 address or a bracketed IPv6 address, and a port of 1–65535. */
export function isAddress(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > longestAddress) return false;
  const port = Number(form.exec(value)?.[1]);
  return port >= 1 && port <= 65_535;
}
