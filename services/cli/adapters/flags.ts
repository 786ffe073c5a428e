/**
 * Flags of one verb on commander: flag > environment (MUSTER_…) > configuration files > default; a wrong one is three
 * lines and exit code 2.
 */
import { Command, CommanderError, Option } from 'commander';
import { configFiles } from '../../shared/adapters/config-files.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import { nearest } from '../../shared/runtime/settings.ts';
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
  /** What said each option: flag, environment, file PATH or default. */
  readonly origins: Readonly<Record<string, string>>;
}

/** Undefined when help was asked for; it has then been written. Throws MusterError config/invalid. */
export function readFlags(
  usage: VerbUsage,
  argv: readonly string[],
  writeHelp: (text: string) => void,
  section: 'up' | 'cli' | undefined = undefined,
): ReadFlags | undefined {
  const command = new Command(`muster ${usage.name}`);
  command
    .description(usage.summary)
    .exitOverride()
    .configureOutput({ writeOut: writeHelp, writeErr: () => undefined })
    .addHelpText('after', `\nexamples:\n${usage.examples.map((e) => `  ${e}`).join('\n')}`);
  for (const operand of usage.operands) command.argument(operand);
  const files = section ? configFiles(section, process.env) : [];
  const names: string[] = [];
  for (const spec of usage.options) {
    const option = new Option(spec.flag, spec.help);
    option.env(
      `MUSTER_${option
        .attributeName()
        .replace(/[A-Z]/g, (c) => `_${c}`)
        .toUpperCase()}`,
    );
    const name = option.attributeName();
    names.push(name);
    const said = files.find((f) => Object.hasOwn(f.values, name))?.values[name];
    if (said !== undefined) option.default(option.isBoolean() ? said === 'true' : spec.repeat ? [said].flat() : said);
    else if (spec.fallback !== undefined) option.default(spec.fallback);
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
  if (section === 'up') refuseUnknown(files, names);
  if (section === 'cli') refuseUnknown(files, cliNames);
  const origins = names.map((name) => {
    const source = command.getOptionValueSource(name);
    const file = files.find((f) => Object.hasOwn(f.values, name));
    return [
      name,
      source === 'cli' ? 'flag' : source === 'env' ? 'environment' : file ? `file ${file.path}` : 'default',
    ];
  });
  return {
    operands: command.args,
    options: command.opts(),
    origins: Object.fromEntries(origins) as Record<string, string>,
  };
}

/** What the section `cli` may set: of every verb that asks. */
const cliNames = ['server', 'ca', 'cert', 'key', 'tokenFile', 'output', 'requireComplete'];

function refuseUnknown(files: ReturnType<typeof configFiles>, names: readonly string[]): void {
  for (const { path, values } of files) {
    const unknown = Object.keys(values).find((key) => !names.includes(key));
    if (unknown === undefined) continue;
    const close = nearest(unknown, names);
    const kebab = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
    throw new MusterError('config/invalid', `read ${path}: unknown setting ${kebab(unknown)}`, {
      remedy: close ? `did you mean ${kebab(close)}?` : `it is one of ${names.map(kebab).join(', ')}`,
    });
  }
}
