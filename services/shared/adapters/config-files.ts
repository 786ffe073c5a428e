/**
 * Configuration files: /etc/muster/config.yaml and, stronger and in the order of their names, /etc/muster/conf.d/*.yaml
 * (MUSTER_CONFIG_DIR names another folder). A section a role (`cli` for the verbs that ask), its keys are the flags:
 *
 *   query:
 *     listen: [127.0.0.1:50151]
 *     max-watches: 500
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { describeCause, MusterError } from '../runtime/errors.ts';
import { nearest, type Sources } from '../runtime/settings.ts';

export const sections = ['up', 'loader', 'agent', 'aggregator', 'query', 'synth', 'cli'] as const;
export type Section = (typeof sections)[number];
type Files = NonNullable<Sources['files']>;

const folderDefault = '/etc/muster';

/** A section of each file there is, the strongest first. Throws MusterError config/invalid with the place. */
export function configFiles(section: Section, env: Readonly<Record<string, string | undefined>>): Files {
  const folder = env['MUSTER_CONFIG_DIR'] ?? folderDefault;
  return configPaths(folder).map((path) => ({ path, values: valuesOf(path, readFile(path)[section]) }));
}

/** Files there are, the strongest first. */
function configPaths(folder: string): string[] {
  const parts = join(folder, 'conf.d');
  const names = existsSync(parts) ? readdirSync(parts).filter((name) => /\.ya?ml$/.test(name)) : [];
  const whole = join(folder, 'config.yaml');
  return [
    ...names
      .sort()
      .reverse()
      .map((name) => join(parts, name)),
    ...(existsSync(whole) ? [whole] : []),
  ];
}

const wrong = (path: string, why: string, remedy = 'correct the file; `muster config check` reads it again') =>
  new MusterError('config/invalid', `read ${path}: ${why}`, { remedy });

function readFile(path: string): Partial<Record<string, unknown>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw wrong(path, describeCause(cause), 'check path and permissions');
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [error] = document.errors;
  if (error) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw wrong(path, `line ${line}, column ${col}: ${error.message.split('\n')[0]}`);
  }
  const found: unknown = document.toJS() ?? {};
  if (typeof found !== 'object' || found === null || Array.isArray(found))
    throw wrong(path, 'not sections with settings', `write for example "query:" and below it "  listen: …"`);
  for (const name of Object.keys(found)) {
    if ((sections as readonly string[]).includes(name)) continue;
    const close = nearest(name, sections);
    throw wrong(
      path,
      `unknown section ${name}`,
      close ? `did you mean ${close}?` : `it is one of ${sections.join(', ')}`,
    );
  }
  return found as Record<string, unknown>;
}

/** Values as flags give them: text, or a list of texts. Names in camel case. */
function valuesOf(path: string, section: unknown): Record<string, unknown> {
  if (section === undefined || section === null) return {};
  if (typeof section !== 'object' || Array.isArray(section)) throw wrong(path, 'a section is not a list of settings');
  const text = (key: string, value: unknown): string => {
    if (['string', 'number', 'boolean'].includes(typeof value)) return String(value as string | number | boolean);
    throw wrong(path, `${key}: neither text, number, true or false, nor a list of them`);
  };
  return Object.fromEntries(
    Object.entries(section).map(([key, value]) => [
      key.replace(/-([a-z])/g, (_, c: string) => c.toUpperCase()),
      Array.isArray(value) ? value.map((v) => text(key, v)) : text(key, value),
    ]),
  );
}
