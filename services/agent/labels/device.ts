/** device: a kernel dev_t as "8:1", major and minor. Source: include/linux/kdev_t.h (MINORBITS is 20). */
import { readSmall, type Meaning } from './meaning.ts';

export const device: Meaning =
  ({ offset, size }) =>
  (keys, at) => {
    const number = readSmall(keys, at + offset, size) >>> 0;
    return `${number >>> 20}:${number & 0xfffff}`;
  };
