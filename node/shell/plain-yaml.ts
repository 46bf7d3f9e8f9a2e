/**
 * The plainest YAML, read without a YAML library: block maps and lists of scalars that can mean only one thing, as programs
 * write configurations. Loading a whole parser is a tenth of a node's start; what is not this plain is left to it. Knows
 * nothing of configurations.
 */

type Line = { indent: number; text: string };

const LEAVE_IT = Symbol('not plain');

/** The value, or undefined where the full parser has to look. What it does give equals what the full parser gives. */
export function parsePlainYaml(source: string): unknown {
  const lines: Line[] = [];
  for (const line of source.split('\n')) {
    if (line === '') continue;
    const text = line.trimStart();
    // Tabs, comments, document marks, folded lines of any kind: not ours.
    if (text === '' || /[^\x20-\x7e]|#|\s$/.test(line) || /^(---|\.\.\.|%)/.test(line)) return undefined;
    lines.push({ indent: line.length - text.length, text });
  }
  if (lines.length === 0 || lines[0]!.indent !== 0) return undefined;
  const reader = { lines, next: 0 };
  try {
    const value = readMap(reader, 0);
    return reader.next === lines.length ? value : undefined;
  } catch (error) {
    if (error === LEAVE_IT) return undefined;
    throw error;
  }
}

interface Reader {
  readonly lines: Line[];
  next: number;
}

function leaveIt(): never {
  throw LEAVE_IT;
}

function readMap(reader: Reader, indent: number): Record<string, unknown> {
  const map: Record<string, unknown> = {};
  for (;;) {
    const line = reader.lines[reader.next];
    if (!line || line.indent < indent) return map;
    const match = /^([A-Za-z_][A-Za-z0-9_.-]*):(?: (.+))?$/.exec(line.text);
    if (line.indent > indent || !match) return leaveIt();
    const key = match[1]!;
    if (Object.hasOwn(map, key) || key === '__proto__' || isWord(key)) return leaveIt();
    reader.next++;
    map[key] = match[2] === undefined ? readBlock(reader, indent) : readScalar(match[2]);
  }
}

/** What stands below `key:`; deeper than it. */
function readBlock(reader: Reader, parentIndent: number): unknown {
  const line = reader.lines[reader.next];
  if (!line || line.indent <= parentIndent) return leaveIt();
  return line.text.startsWith('- ') ? readList(reader, line.indent) : readMap(reader, line.indent);
}

function readList(reader: Reader, indent: number): unknown[] {
  const list: unknown[] = [];
  for (;;) {
    const line = reader.lines[reader.next];
    if (!line || line.indent < indent) return list;
    if (line.indent > indent || !line.text.startsWith('- ')) return leaveIt();
    // A map whose first key stands behind the dash: as if the dash were indentation.
    reader.lines[reader.next] = { indent: indent + 2, text: line.text.slice(2) };
    list.push(readMap(reader, indent + 2));
  }
}

function readScalar(text: string): unknown {
  if (text === '{}') return {};
  if (text === '[]') return [];
  if (/^(0|[1-9]\d{0,14})$/.test(text) || /^(0|[1-9]\d{0,9})\.\d{1,6}$/.test(text)) return Number(text);
  if (/^"[^"\\]*"$/.test(text)) return text.slice(1, -1);
  // IPv4 with or without a port, base64 of a key, names and paths: none of these is a number, a date or a word of YAML.
  const isText =
    /^\d{1,3}(\.\d{1,3}){3}(:\d+)?$/.test(text) ||
    /^[A-Za-z0-9+/]{43}=$/.test(text) ||
    (/^[A-Za-z/_][A-Za-z0-9/_.:+=-]*$/.test(text) && !text.endsWith(':') && !isWord(text));
  return isText ? text : leaveIt();
}

/** Words that some YAML reads as null or as a truth value. */
function isWord(text: string): boolean {
  return /^(null|true|false|yes|no|on|off|y|n)$/i.test(text);
}
