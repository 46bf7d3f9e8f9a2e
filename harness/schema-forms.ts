/** Forms that occur all over a scenario file, as JSON Schema: times, and names of nodes and of other things. */

export type Schema = Record<string, unknown>;

export const seconds = (description: string): Schema => ({
  type: 'number',
  minimum: 0,
  maximum: 3600,
  description,
});

export const nodeName = { type: 'string', pattern: '^node-[1-9][0-9]{0,4}$' };
export const name = { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,39}$' };
