/** comm: the bytes of a command name up to the first NUL, as contract/printable.ts shows them. */
import { printable } from '../../shared/contract/printable.ts';
import type { Meaning } from './meaning.ts';

export const comm: Meaning =
  ({ offset, size }) =>
  (keys, at) =>
    printable(new Uint8Array(keys.buffer, keys.byteOffset + at + offset, size));
