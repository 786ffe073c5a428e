/** u64 and s64: integers of 1, 2, 4 or 8 bytes, in decimal; anything longer in hexadecimal, last byte first. */
import { readSmall, type Meaning } from './meaning.ts';

export const unsigned: Meaning = ({ offset, size }) => {
  if (size > 8) return hexadecimal(offset, size);
  return (keys, at) => {
    at += offset;
    if (size === 1) return String(keys.getUint8(at));
    if (size === 2) return String(keys.getUint16(at, true));
    if (size === 4 || keys.getUint32(at + 4, true) === 0) return String(keys.getUint32(at, true));
    return String(keys.getBigUint64(at, true));
  };
};

export const signed: Meaning = ({ offset, size }) => {
  if (size > 8) return hexadecimal(offset, size);
  return (keys, at) => {
    const small = readSmall(keys, at + offset, size);
    return Number.isSafeInteger(small) ? String(small) : String(keys.getBigInt64(at + offset, true));
  };
};

const hexadecimal =
  (offset: number, size: number): ReturnType<Meaning> =>
  (keys, at) => {
    let text = '0x';
    for (let i = size - 1; i >= 0; i--)
      text += keys
        .getUint8(at + offset + i)
        .toString(16)
        .padStart(2, '0');
    return text;
  };
