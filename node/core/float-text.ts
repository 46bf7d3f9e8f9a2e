/** How the canonical form prints a float token (§3.1). Knows nothing but doubles. */

/** CPython's `repr` of a finite double: positional from 1e-4 up to below 1e16, else an exponent of two digits or more. */
export function floatText(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  if (size >= 1e-4 && size < 1e16) {
    const text = String(value);
    return Number.isInteger(value) ? `${text}.0` : text;
  }
  const [digits, exponent] = value.toExponential().split('e') as [string, string];
  return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
}
