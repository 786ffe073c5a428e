/** `muster config`: what each role and the command line would be told, and by what, or why they would refuse it. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { sections, type Section } from '../../shared/adapters/config-files.ts';
import { tellFlag } from '../../shared/adapters/role-settings.ts';
import { describeCause, MusterError } from '../../shared/runtime/errors.ts';
import type { OptionSpec } from '../output/verb.ts';
import { readFlags } from './flags.ts';

export interface ToldSetting {
  readonly section: Section;
  readonly setting: string;
  /** As it was said; empty where nothing was. */
  readonly value: string;
  readonly origin: string;
}

export interface Told {
  readonly settings: readonly ToldSetting[];
  /** What, why and fix of each section that would be refused. */
  readonly problems: readonly {
    readonly section: Section;
    readonly what: string;
    readonly why: string;
    readonly fix: string;
  }[];
}

/** `own`: options of the sections that the command line reads itself. */
export function tellSettings(
  services: string,
  own: Readonly<Record<'up' | 'cli', readonly OptionSpec[]>>,
  wanted: readonly string[],
): Told {
  const settings: ToldSetting[] = [];
  const problems: Told['problems'][number][] = [];
  for (const section of sections) {
    if (wanted.length > 0 && !wanted.includes(section)) continue;
    try {
      const told = section === 'up' || section === 'cli' ? ofOptions(section, own[section]) : ofRole(services, section);
      settings.push(...told.map((t) => ({ section, ...t })));
    } catch (error) {
      if (!(error instanceof MusterError)) throw error;
      const [what = '', why = '', fix = ''] = error.threeLines
        .split('\n')
        .map((l) => l.replace(/^(error| +why| +fix): /, ''));
      problems.push({ section, what, why, fix });
    }
  }
  return { settings, problems };
}

type OfSection = Omit<ToldSetting, 'section'>[];

function ofOptions(section: 'up' | 'cli', options: readonly OptionSpec[]): OfSection {
  const usage = { name: section, summary: '', operands: [], options, examples: ['', ''] as const };
  const read = readFlags(usage, [], () => undefined, section)!;
  return Object.entries(read.origins).map(([name, origin]) => ({
    setting: name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`),
    value: [read.options[name]]
      .flat()
      .map((v) => String((v as string | undefined) ?? ''))
      .join(' '),
    origin,
  }));
}

function ofRole(services: string, section: Section): OfSection {
  const main = join(services, section, 'main.js');
  if (!existsSync(main)) throw new MusterError('role/no-program', `ask ${section} for its settings: no ${main}`);
  const run = spawnSync(process.execPath, [main, tellFlag], { encoding: 'utf8', timeout: 20_000 });
  if (run.status !== 0) {
    const [what, why, fix] = run.stderr
      .trim()
      .split('\n')
      .slice(-3)
      .map((l) => l.replace(/^(error| +why| +fix): /, ''));
    throw new MusterError('config/invalid', what ?? describeCause(run.error), {
      cause: why ?? '',
      remedy: fix ?? 'see --help',
    });
  }
  const told = JSON.parse(run.stdout) as { setting: string; value?: string | readonly string[]; origin: string }[];
  return told.map(({ setting, value, origin }) => ({ setting, value: [value ?? []].flat().join(' '), origin }));
}
