/** Passwords for new users: the one of a file, or a random one each time. */
import { randomBytes } from 'node:crypto';
import { readNamedFile } from '../../shared/adapters/named-file.ts';
import { MusterError } from '../../shared/runtime/errors.ts';

/** Throws MusterError config/invalid when the file cannot be read or is empty. */
export function passwords(path: string | undefined): () => string {
  if (path === undefined) return () => randomBytes(24).toString('base64url');
  const text = readNamedFile(`--password-file ${path}`, path).toString().trim();
  if (text === '') throw new MusterError('config/invalid', `--password-file ${path}: it is empty`);
  return () => text;
}
