/** A number that this host may have a name for: shown by it, or as the number. Longer than a word: as any number. */
import { readId, type Meaning } from './meaning.ts';
import type { NameKind } from './names.ts';
import { unsigned } from './number.ts';

/** `show`: what is made of the name; by default nothing. */
export const named =
  (kind: NameKind, show: (name: string) => string = (name) => name): Meaning =>
  (label, context) => {
    const number = unsigned(label, context);
    const { offset, size } = label;
    const { nameOf } = context;
    if (!nameOf || size > 8) return number;
    return (keys, at) => {
      const name = nameOf(kind, readId(keys, at + offset, size));
      return name === undefined ? number(keys, at) : show(name);
    };
  };
