/** errno: an error as "ENOENT", from 2 or -2; "0" is success, and an unknown one its number. */
import { errnoNames } from './errno-names.ts';
import { namesOf, readSmall, type Meaning } from './meaning.ts';

const names = namesOf(errnoNames);

export const errno: Meaning =
  ({ offset, size }) =>
  (keys, at) => {
    const number = readSmall(keys, at + offset, size);
    return names.get(Math.abs(number)) ?? String(number);
  };
