/** A trivial node's own key, from the file that it was given. Knows no behaviour. */

import { createPrivateKey } from 'node:crypto';
import { type Identity, identityFrom } from '../../../harness/wire/identity.ts';

export function identityFromPem(pem: string, agentId: string): Identity {
  const pkcs8 = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' });
  return identityFrom(new Uint8Array(pkcs8.subarray(-32)), agentId);
}
