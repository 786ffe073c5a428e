/** Settings of a role's process, from its flags, the environment and the configuration files; and how it tells them. */
import process from 'node:process';

import { flagOf, resolveSettings, type Settings, type ValuesOf } from '../runtime/settings.ts';
import { configFiles, type Section } from './config-files.ts';

/** Asked for by `muster config`: print the settings with their origins as JSON, and end. */
export const tellFlag = '--tell-settings';

/** Throws MusterError config/invalid. Ends the process when only the settings were asked for. */
export function roleSettings<S extends Settings>(section: Section, settings: S): { values: ValuesOf<S> } {
  const argv = process.argv.slice(2);
  const tell = argv.includes(tellFlag);
  const resolved = resolveSettings(settings, {
    argv: argv.filter((word) => word !== tellFlag),
    env: process.env,
    files: configFiles(section, process.env),
  });
  if (!tell) return resolved;
  const told = Object.entries(resolved.texts)
    .filter(([name]) => name !== 'help')
    .map(([name, value]) => ({ setting: flagOf(name).slice(2), value, origin: resolved.origins[name] }));
  process.stdout.write(`${JSON.stringify(told)}\n`);
  process.exit(0);
}
