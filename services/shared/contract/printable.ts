/**
 * Bytes of a name as text. Any process may write any bytes into its own: what is not printable UTF-8 is escaped as \xHH
 * and the backslash as \\, so that two different names never look alike.
 */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Up to the first NUL. */
export function printable(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) {
    const b = bytes[i]!;
    if (b === 0) return text;
    if (b < 0x20 || b > 0x7e || b === 0x5c) return text + escaped(bytes, i);
    text += String.fromCharCode(b);
  }
  return text;
}

/** The rest of a name from the first byte that needs a closer look. */
function escaped(bytes: Uint8Array, from: number): string {
  let text = '';
  for (let i = from; i < bytes.length && bytes[i] !== 0;) {
    const b = bytes[i]!;
    const length = b < 0x80 ? 1 : b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
    const char = b === 0x5c ? '\\\\' : decode(bytes.subarray(i, i + length));
    if (char === undefined) {
      text += `\\x${b.toString(16).padStart(2, '0')}`;
      i++;
    } else {
      text += char;
      i += length;
    }
  }
  return text;
}

/** One printable character, or undefined. Controls, line separators and what turns the writing direction are not. */
function decode(bytes: Uint8Array): string | undefined {
  try {
    const char = utf8.decode(bytes);
    return /^[^\p{Cc}\u2028-\u202e\u2066-\u2069]$/u.test(char) ? char : undefined;
  } catch {
    return undefined;
  }
}
