/**
 * Labels that may say too much leave the host changed, by their meaning: left out, hashed with the fleet's key, or cut.
 * Counts stay exact: rows whose labels then read alike are one series. What is hidden never reaches bus or store.
 */
import type { Hiding, Privacy } from '../config.ts';
import type { Decoder } from './meaning.ts';

/** What stands for a text that is left out; empty would say that there was none. */
export const hidden = '(hidden)';

/** Meanings that are numbers inside a table's protocol, not texts for a reader. */
const structural = new Set(['bucket', 'cell', 'register', 'word']);

/** "ipv4=hash,cmdline=off,cgroup=32" → rules, or what is wrong with it. `known`: the meanings there are. */
export function parseHiding(text: string, known: (meaning: string) => boolean): Map<string, Hiding> | string {
  const rules = new Map<string, Hiding>();
  for (const pair of text.split(',').filter(Boolean)) {
    const [, meaning, how] = /^([a-z0-9_]+)=(off|hash|[1-9]\d{0,3})$/.exec(pair) ?? [];
    if (meaning === undefined || how === undefined)
      return `${JSON.stringify(pair)} is not MEANING=off, MEANING=hash or MEANING=N characters`;
    if (!known(meaning) || structural.has(meaning)) return `no label has the meaning ${JSON.stringify(meaning)}`;
    rules.set(meaning, how === 'off' || how === 'hash' ? { kind: how } : { kind: 'cut', characters: Number(how) });
  }
  return rules;
}

/** The decoder, or what is to be shown in its place. */
export function hide(decode: Decoder, meaning: string, privacy: Privacy | undefined): Decoder {
  const rule = privacy?.rules.get(meaning);
  if (!privacy || !rule) return decode;
  switch (rule.kind) {
    case 'off':
      return () => hidden;
    case 'hash':
      return (keys, at) => privacy.digest(decode(keys, at));
    case 'cut':
      // By code points, so that no character is halved.
      return (keys, at) => Array.from(decode(keys, at)).slice(0, rule.characters).join('');
  }
}
