/**
 * Flags of one verb on commander: flag > environment (MUSTER_…) > configuration files > default; a wrong one is three
 * lines and exit code 2.
 */
import process from 'node:process';
import { Command, CommanderError, Option } from 'commander';
import { z } from 'zod';
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
  const read: (() => void)[] = [];
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
    const file = files.find((f) => Object.hasOwn(f.values, name));
    const said = file?.values[name];
    const fallback = file ? (option.isBoolean() ? truth(`${file.path}: ${kebab(name)}`, said) : said) : spec.fallback;
    const list = spec.repeat && fallback !== undefined ? [fallback].flat() : undefined;
    if (fallback !== undefined) option.default(list ?? fallback);
    if (spec.repeat)
      option.argParser((value: string, earlier: unknown) => [
        // A flag takes the place of what a file says.
        ...(Array.isArray(earlier) && earlier !== list ? (earlier as string[]) : []),
        value,
      ]);
    command.addOption(option);
    read.push(() => {
      const variable = process.env[option.envVar!];
      if (variable === undefined || command.getOptionValueSource(name) !== 'env') return;
      // Commander takes any text for true, and a list for one text.
      if (option.isBoolean()) command.setOptionValueWithSource(name, truth(option.envVar!, variable), 'env');
      else if (spec.repeat) command.setOptionValueWithSource(name, variable.split(' '), 'env');
    });
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
  for (const variable of read) variable();
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

const kebab = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);

/** As a role reads a switch. Throws MusterError config/invalid. */
function truth(place: string, said: unknown): boolean {
  const parsed = z.stringbool().safeParse(said);
  if (parsed.success) return parsed.data;
  throw new MusterError('config/invalid', `${place} ${JSON.stringify(said)}: not true or false`);
}

/** What the section `cli` may set: of every verb that asks. */
const cliNames = ['server', 'ca', 'cert', 'key', 'tokenFile', 'output', 'requireComplete'];

function refuseUnknown(files: ReturnType<typeof configFiles>, names: readonly string[]): void {
  for (const { path, values } of files) {
    const unknown = Object.keys(values).find((key) => !names.includes(key));
    if (unknown === undefined) continue;
    const close = nearest(unknown, names);
    throw new MusterError('config/invalid', `read ${path}: unknown setting ${kebab(unknown)}`, {
      remedy: close ? `did you mean ${kebab(close)}?` : `it is one of ${names.map(kebab).join(', ')}`,
    });
  }
}
