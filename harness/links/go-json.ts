/**
 * Request bodies as Go's encoding/json takes them, because people's clients were written against that: keys in any case,
 * unknown keys ignored, anything after the first value ignored, a wrong type refused. Knows no endpoint.
 */

/** Text as in Go, prefixed `bad request body: ` by the API. */
export class BodyError extends Error {}

export type FieldType = 'string' | 'bool' | 'float32' | 'int64' | 'object';

/** `Proxy.name` and the like, for the error text. */
export interface Field {
  type: FieldType;
  path: string;
}

export type Fields = Readonly<Record<string, Field>>;

/** The first JSON value of the text. */
export function decodeFirst(text: string): unknown {
  const body = text.trimStart();
  if (body === '') throw new BodyError('EOF');
  try {
    return JSON.parse(body);
  } catch {
    const end = valueEnd(body);
    if (end === null) throw new BodyError(complaint(body));
    try {
      return JSON.parse(body.slice(0, end));
    } catch {
      throw new BodyError(complaint(body.slice(0, end)));
    }
  }
}

/** Where the first value ends by its brackets and quotes, or null where it is cut short. */
function valueEnd(body: string): number | null {
  if (!/^[[{"]/.test(body)) return /^[^\s,\]}]*/.exec(body)![0].length;
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < body.length; i += 1) {
    const char = body[i];
    if (quoted) {
      if (char === '\\') i += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') depth -= 1;
    if (!quoted && depth === 0) return i + 1;
  }
  return null;
}

function complaint(body: string): string {
  const bad = /^[^\s[{"\-0-9tfn]/.exec(body);
  if (bad !== null) return `invalid character '${bad[0]}' looking for beginning of value`;
  return valueEnd(body) === null ? 'unexpected EOF' : 'invalid character in JSON';
}

export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** The members of an object that `fields` names, by the field's own spelling; `null` members count as absent. */
export function readFields(value: unknown, fields: Fields, goType: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  if (value === null) return found;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new BodyError(`json: cannot unmarshal ${kindOf(value)} into Go value of type ${goType}`);
  }
  for (const [key, member] of Object.entries(value)) {
    const name = Object.hasOwn(fields, key) ? key : key.toLowerCase();
    if (!Object.hasOwn(fields, name) || member === null) continue;
    check(member, fields[name]!);
    // A lone surrogate becomes U+FFFD, as in Go; a name with one could never be addressed.
    found[name] = typeof member === 'string' ? Buffer.from(member).toString() : member;
  }
  return found;
}

function check(member: unknown, field: Field): void {
  const kind = kindOf(member);
  if (field.type === 'int64') {
    const whole = kind === 'number' && Number.isInteger(member) && Math.abs(member as number) < 2 ** 63;
    if (whole) return;
  } else if (field.type === 'float32') {
    if (kind === 'number' && Math.abs(member as number) < 3.41e38) return;
  } else if (kind === field.type) return;
  // Go shows the number only where a number was wanted.
  const what = kind === 'number' && field.type === 'int64' ? `number ${String(member)}` : kind;
  throw new BodyError(
    `json: cannot unmarshal ${what} into Go struct field ${field.path} of type ${field.type}`,
  );
}
