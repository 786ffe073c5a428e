/** enum: a C enum's value by the name that the object's BTF gives it; a value without a name is its number. */
import { signed } from './number.ts';
import type { Meaning } from './meaning.ts';

export const enumeration: Meaning = (label, context) => {
  const number = signed(label, context);
  const names = new Map(Object.entries(label.names ?? {}));
  return (keys, at) => {
    const text = number(keys, at);
    return names.get(text) ?? text;
  };
};
