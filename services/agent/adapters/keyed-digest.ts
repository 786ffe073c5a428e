/** The hash that stands for a hidden text: HMAC-SHA-256 with the fleet's key, its first 64 bits. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MusterError } from '../../shared/runtime/errors.ts';

/** Shorter keys could be guessed along with the few billions of addresses there are. */
const keyBytesMin = 16;

export const keyedDigest =
  (key: Buffer): ((text: string) => string) =>
  (text) =>
    createHmac('sha256', key).update(text).digest('hex').slice(0, 16);

/** Throws MusterError config/invalid when the file cannot be read or holds too little. */
export function readDigestKey(path: string | undefined): Buffer {
  const remedy = 'give every host the same file: head -c 32 /dev/urandom >FILE';
  if (path === undefined)
    throw new MusterError('config/invalid', '--hide …=hash: a hash without a key is soon undone', {
      remedy: `${remedy}, and --hide-key FILE`,
    });
  let key: Buffer;
  try {
    key = readFileSync(path);
  } catch (cause) {
    throw new MusterError('config/invalid', `--hide-key ${path}`, { cause, remedy });
  }
  if (key.length < keyBytesMin)
    throw new MusterError('config/invalid', `--hide-key ${path}: fewer than ${keyBytesMin} bytes`, { remedy });
  return key;
}
