/** Errors of the nats client while consuming, as MusterErrors. */
import { describeCause, MusterError } from '../runtime/errors.ts';

export function translate(what: string, cause: unknown): MusterError {
  if (cause instanceof MusterError) return cause;
  const code = (cause as { code?: string }).code ?? '';
  if (code === 'PERMISSIONS_VIOLATION' || code === 'AUTHORIZATION_VIOLATION')
    return new MusterError('bus/refused', `${what}: not allowed`, { cause });
  if (code === '503' && /jetstream/i.test(describeCause(cause)))
    return new MusterError('bus/no-jetstream', `${what}: no JetStream`, { cause });
  return new MusterError('bus/unreachable', `${what}: no answer`, { cause });
}
