/** Changes of many links at once, `POST /links`: checked as a whole, then done in one turn of the event loop. */

import { ApiError, asApiError } from './api-error.ts';
import type { Toxic } from './connection.ts';
import type { LinkProxy, NewToxic } from './proxy.ts';
import type { Attributes } from './toxics/toxic.ts';

/** One entry of `POST /links`: what changes on one proxy. */
export interface LinkChange {
  proxy: LinkProxy;
  enabled: boolean | null;
  add: NewToxic[];
  update: { name: string; attributes: Attributes; toxicity: number }[];
  remove: string[];
}

export const findToxic = (proxy: LinkProxy, name: string): Toxic | undefined =>
  proxy.toxics().find((toxic) => toxic.name === name);

/** Throws 404. */
export function toxicOf(proxy: LinkProxy, name: string): Toxic {
  const toxic = findToxic(proxy, name);
  if (toxic === undefined) throw new ApiError(404, 'toxic not found');
  return toxic;
}

/** Throws 500. */
export async function startOrThrow(proxy: LinkProxy): Promise<void> {
  try {
    await proxy.start();
  } catch (error) {
    throw asApiError(error);
  }
}

function checkChanges(changes: readonly LinkChange[]): void {
  const names = new Set<string>();
  for (const { proxy, add, update, remove } of changes) {
    const left = new Set(proxy.toxics().map(({ name }) => name));
    if (names.has(proxy.settings.name)) throw new ApiError(400, `two changes of ${proxy.settings.name}`);
    names.add(proxy.settings.name);
    for (const name of remove) {
      if (!left.delete(name)) throw new ApiError(404, `toxic not found: ${name} on ${proxy.settings.name}`);
    }
    for (const { name } of update) {
      if (!left.has(name)) throw new ApiError(404, `toxic not found: ${name} on ${proxy.settings.name}`);
    }
    for (const { name } of add) {
      if (left.has(name)) throw new ApiError(409, `toxic already exists: ${name} on ${proxy.settings.name}`);
      left.add(name);
    }
  }
}

/** All or nothing as far as toxics go; a proxy that then cannot listen is a 500. */
export async function applyAll(changes: readonly LinkChange[]): Promise<void> {
  checkChanges(changes);
  for (const { proxy, add, update, remove } of changes) {
    if (remove.length > 0) proxy.removeToxics(proxy.toxics().filter(({ name }) => remove.includes(name)));
    for (const { name, attributes, toxicity } of update) {
      proxy.updateToxic(toxicOf(proxy, name), attributes, toxicity);
    }
    for (const toxic of add) proxy.addToxic(toxic);
  }
  await Promise.all(
    changes.map(({ proxy, enabled }) => {
      if (enabled === null) return undefined;
      return enabled ? startOrThrow(proxy) : proxy.stop();
    }),
  );
}
