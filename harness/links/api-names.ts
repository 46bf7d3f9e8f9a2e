/** What server and client of the fault plane's API both have to spell alike. */

/** The Toxiproxy release whose API the embedded server speaks. */
export const apiVersion = '2.12.0';

/** Every answer of the embedded server carries it, so that a client can tell the superset from Toxiproxy. */
export const serverHeader = 'X-Fault-Server';
export const serverName = 'cle-testnet';
