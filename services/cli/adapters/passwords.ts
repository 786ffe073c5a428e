/** Passwords for new users: the one of a file, or a random one each time. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MusterError } from '../../shared/runtime/errors.ts';

/** Throws MusterError config/invalid when the file cannot be read or is empty. */
export function passwords(path: string | undefined): () => string {
  if (path === undefined) return () => randomBytes(24).toString('base64url');
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new MusterError('config/invalid', `--password-file ${path}`, { cause, remedy: 'check path and permissions' });
  }
  if (text === '') throw new MusterError('config/invalid', `--password-file ${path}: it is empty`);
  return () => text;
}
