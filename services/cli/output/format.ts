/** The option -o, and what it was given. The first format is what is shown when nothing was said. */
import { MusterError } from '../../shared/runtime/errors.ts';
import type { OptionSpec } from './verb.ts';

export const outputOption = (of: readonly string[]): OptionSpec => ({
  flag: '-o, --output <format>',
  help: `${of.slice(0, -1).join(', ')} or ${of.at(-1)}`,
  fallback: of[0]!,
});

/** Throws MusterError config/invalid for a format that is none of these. */
export function outputFormat<F extends string>(options: Readonly<Record<string, unknown>>, of: readonly F[]): F {
  const format = of.find((f) => f === options['output']);
  if (format !== undefined) return format;
  throw new MusterError('config/invalid', `--output ${JSON.stringify(options['output'])}: not ${of.join(', ')}`, {
    remedy: 'for example -o json',
  });
}
