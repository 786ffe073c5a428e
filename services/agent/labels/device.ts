/** device: a kernel dev_t as the disk's name, else as "8:1", major and minor. Source: include/linux/kdev_t.h. */
import { readSmall, type Meaning } from './meaning.ts';

const minorBits = 20;

export const device: Meaning =
  ({ offset, size }, { nameOf }) =>
  (keys, at) => {
    const number = readSmall(keys, at + offset, size) >>> 0;
    return nameOf?.('device', BigInt(number)) ?? `${number >>> minorBits}:${number & ((1 << minorBits) - 1)}`;
  };
