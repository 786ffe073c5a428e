/** Flags of one verb on commander: flag > environment (MUSTER_…) > default; a wrong one is three lines and exit code 2. */
import { Command, CommanderError, Option } from 'commander';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { OptionSpec } from '../output/verb.ts';

export interface VerbUsage {
  readonly name: string;
  readonly summary: string;
  readonly operands: readonly string[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly [string, string];
}

export interface ReadFlags {
  readonly operands: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** Undefined when help was asked for; it has then been written. Throws MusterError config/invalid. */
export function readFlags(
  usage: VerbUsage,
  argv: readonly string[],
  writeHelp: (text: string) => void,
): ReadFlags | undefined {
  const command = new Command(`muster ${usage.name}`);
  command
    .description(usage.summary)
    .exitOverride()
    .configureOutput({ writeOut: writeHelp, writeErr: () => undefined })
    .addHelpText('after', `\nexamples:\n${usage.examples.map((e) => `  ${e}`).join('\n')}`);
  for (const operand of usage.operands) command.argument(operand);
  for (const spec of usage.options) {
    const option = new Option(spec.flag, spec.help);
    option.env(
      `MUSTER_${option
        .attributeName()
        .replace(/[A-Z]/g, (c) => `_${c}`)
        .toUpperCase()}`,
    );
    if (spec.fallback !== undefined) option.default(spec.fallback);
    if (spec.repeat)
      option.argParser((value: string, earlier: unknown) => [
        ...(Array.isArray(earlier) ? (earlier as string[]) : []),
        value,
      ]);
    command.addOption(option);
  }
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.help') return undefined;
    const [what, hint] = error.message.replace(/^error: /, '').split('\n');
    throw new MusterError('config/invalid', `muster ${usage.name}: ${what}`, {
      cause: 'it is not what this verb takes',
      remedy: `${hint ? `${hint.replace(/[()]/g, '').toLowerCase()} See` : 'see'} \`muster ${usage.name} --help\``,
    });
  }
  return { operands: command.args, options: command.opts() };
}
