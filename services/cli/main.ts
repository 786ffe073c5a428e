#!/usr/bin/env node
/** The command line: words → a verb → one call, one service, or the whole of Muster on this machine. */
import { readFileSync, existsSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { MusterError } from '../shared/runtime/errors.ts';
import { nearest } from '../shared/runtime/settings.ts';
import { outputFormat, outputOption } from './output/format.ts';
import type { DataVerb, OptionSpec } from './output/verb.ts';
import type { CompletedVerb } from './verbs/completion.ts';
import { helpText, verbList, type VerbEntry } from './verb-list.ts';

const out = (data: string | Uint8Array): void => void process.stdout.write(data);
const note = (text: string): void => void process.stderr.write(text);
const color = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && !process.env['NO_COLOR'];

/** Folder that holds build/ and package.json: above dist/ when compiled, above services/ otherwise. */
function findRoot(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === '/')
      throw new MusterError('config/invalid', 'find the installation: no package.json above the program');
  }
}
/** Where <service>/main.js is; the sources need a loader of TypeScript, so a checkout runs what set-up compiled. */
const servicesOf = (root: string): string => join(root, 'dist/services');

const plainFormats = ['table', 'json'] as const;

/** The pure half of every verb that asks. */
const askParts = async () => ({
  outputFormat,
  outputOption,
  ...(await import('./output/records.ts')),
  ...(await import('./output/table.ts')),
  ...(await import('./output/coverage.ts')),
  ...(await import('./output/grpcurl.ts')),
  ...(await import('./output/live.ts')),
  ...(await import('./verbs/watch.ts')),
  ...(await import('./verbs/top.ts')),
});

async function runAsk(entry: VerbEntry, verb: DataVerb | undefined, argv: readonly string[]): Promise<number> {
  const { runData, runWatch } = await import('./adapters/ask.ts');
  const io = { out, note, color };
  return verb ? runData(await askParts(), entry, verb, argv, io) : runWatch(await askParts(), entry, argv, io);
}

async function runDoctor(entry: VerbEntry, argv: readonly string[]): Promise<number> {
  const { readFlags } = await import('./adapters/flags.ts');
  const read = readFlags(
    {
      ...entry,
      operands: [],
      options: [
        outputOption(plainFormats),
        { flag: '--listen <address>', help: 'address the API is to listen on', fallback: '127.0.0.1:50151' },
        { flag: '--nats <address>', help: 'check this NATS server too' },
        { flag: '--redis <address>', help: 'check this Redis server too' },
      ],
      examples: ['muster doctor', 'muster doctor --redis 10.0.0.5:6379 -o json'],
    },
    argv,
    out,
  );
  if (!read) return 0;
  const format = outputFormat(read.options, plainFormats);
  const text = (name: string): string | undefined => read.options[name] as string | undefined;
  const { gatherFacts } = await import('./adapters/host-facts.ts');
  const { examine } = await import('./doctor/checks.ts');
  const listen = String(read.options['listen']);
  const facts = await gatherFacts({
    listen,
    nats: text('nats'),
    redis: text('redis'),
    objects: join(findRoot(), 'build/bpf'),
    services: servicesOf(findRoot()),
    answers: async () => {
      const { connectQuery } = await import('../shared/adapters/grpc-client.ts');
      const client = connectQuery(listen);
      return client
        .call('ListMetrics', {}, { deadlineMs: 2000 })
        .then(
          () => true,
          () => false,
        )
        .finally(() => client.close());
    },
  });
  const checks = examine(facts);
  if (format === 'json') out(`${JSON.stringify({ checks }, null, 2)}\n`);
  else {
    const { renderRows } = await import('./output/table.ts');
    const columns = ['check', 'result', 'found', 'fix'].map((title) => ({ title }));
    const rows = checks.map((c) => [c.name, c.result, c.found, c.fix]);
    out(renderRows({ columns, rows, notes: [] }, { color: color(process.stdout) }));
  }
  return checks.some((c) => c.result === 'fail') ? 1 : 0;
}

async function runUp(entry: VerbEntry, argv: readonly string[]): Promise<number> {
  const { readFlags } = await import('./adapters/flags.ts');
  const { parseUpOptions, upOptionSpecs } = await import('./up/options.ts');
  const { upExamples } = await import('./verbs/up.ts');
  const usage = { ...entry, operands: [], options: upOptionSpecs, examples: upExamples };
  const read = readFlags(usage, argv, out, 'up');
  if (!read) return 0;
  const options = parseUpOptions(read.options);
  const { up } = await import('./adapters/up.ts');
  const root = findRoot();
  const parts = {
    ...(await import('./up/options.ts')),
    ...(await import('./up/roles.ts')),
    ...(await import('./up/supervise.ts')),
    ...(await import('./up/commands.ts')),
    ...(await import('./up/server-files.ts')),
    ...(await import('./up/log-line.ts')),
    ...(await import('./up/attached.ts')),
    ...(await import('./verbs/up.ts')),
    ...(await import('./output/table.ts')),
  };
  return up(parts, options, { root, services: servicesOf(root), out, note, color: color(process.stdout) });
}

async function runLoad(entry: VerbEntry, argv: readonly string[]): Promise<number> {
  const { namesProbes } = await import('./verbs/load.ts');
  const asksHelp = argv.includes('--help') || argv.includes('-h');
  // Without a probe to load it is the role, as in units that were written for it.
  if (!namesProbes(argv) && !asksHelp) return runService('loader', argv);
  const { load } = await import('./adapters/load.ts');
  const { readFlags } = await import('./adapters/flags.ts');
  const parts = await import('./verbs/load.ts');
  const usage = { ...entry, operands: ['<probes...>'], options: parts.loadOptions, examples: parts.loadExamples };
  const read = readFlags(usage, argv, out);
  if (!read) {
    out('\nWithout words it is `muster loader`: see `muster loader --help`.\n');
    return 0;
  }
  const root = findRoot();
  return load(parts, read, {
    root,
    services: servicesOf(root),
    format: outputFormat(read.options, plainFormats),
    out,
    note,
  });
}

async function runUnload(entry: VerbEntry, argv: readonly string[]): Promise<number> {
  const { readFlags } = await import('./adapters/flags.ts');
  const parts = await import('./verbs/load.ts');
  const examples: [string, string] = ['muster unload my_probe', 'muster unload my_probe --state-dir ./state'];
  const usage = { ...entry, operands: ['<probe>'], options: parts.keeperOptions, examples };
  const read = readFlags(usage, argv, out);
  if (!read) return 0;
  const { unload } = await import('./adapters/load.ts');
  return unload(parts, read, { out, note });
}

async function runBusUser(entry: VerbEntry, argv: readonly string[]): Promise<number> {
  const { readFlags } = await import('./adapters/flags.ts');
  const parts = await import('./verbs/bus-user.ts');
  const usage = { ...entry, operands: ['[hosts...]'], options: parts.busUserOptions, examples: parts.busUserExamples };
  const read = readFlags(usage, argv, out);
  if (!read) return 0;
  const aggregator = read.options['aggregator'] === true;
  if (read.operands.length === 0 && !aggregator)
    throw new MusterError('config/invalid', 'muster bus-user: no host is named', {
      remedy: 'for example `muster bus-user --aggregator web-1`',
    });
  const { passwords } = await import('./adapters/passwords.ts');
  out(parts.usersFile(read.operands, aggregator, passwords(read.options['passwordFile'] as string | undefined)));
  return 0;
}

/** Verbs with their flags, as far as they are known here: a role tells its own with --help. */
async function completedVerbs(): Promise<CompletedVerb[]> {
  const { connectionOptions } = await import('./adapters/connection.ts');
  const own: Readonly<Record<string, readonly OptionSpec[]>> = {
    up: (await import('./up/options.ts')).upOptionSpecs,
    load: (await import('./verbs/load.ts')).loadOptions,
    watch: [...(await import('./verbs/watch.ts')).watchOptions, ...connectionOptions],
    config: configOptions,
  };
  const ask = [outputOption(['table', 'json']), ...connectionOptions, { flag: '--show-rpc', help: '' }];
  const options = async ({ name, verb }: VerbEntry): Promise<readonly OptionSpec[]> =>
    verb.kind === 'data' ? [...(await verb.load()).options, ...ask] : (own[name] ?? []);
  const found = verbList.map((v) => ({ ...v, name: v.name.split(' ')[0]! }));
  const first = found.filter((v, i) => found.findIndex((o) => o.name === v.name) === i);
  return Promise.all(first.map(async (v) => ({ name: v.name, summary: v.summary, options: await options(v) })));
}

async function runCompletion(entry: VerbEntry, argv: readonly string[]): Promise<number> {
  const { readFlags } = await import('./adapters/flags.ts');
  const { completionExamples, completionScript } = await import('./verbs/completion.ts');
  const usage = { ...entry, operands: ['<shell>'], options: [], examples: completionExamples };
  const read = readFlags(usage, argv, out);
  if (read) out(completionScript(read.operands[0] ?? '', await completedVerbs()));
  return 0;
}

const configOptions: readonly OptionSpec[] = [
  outputOption(plainFormats),
  { flag: '--origin', help: 'show what said each setting: flag, environment, file or default' },
];

async function runConfig(entry: VerbEntry, argv: readonly string[]): Promise<number> {
  const { readFlags } = await import('./adapters/flags.ts');
  const examples = [`muster ${entry.name}`, `muster ${entry.name} query --origin`] as const;
  const read = readFlags({ ...entry, operands: ['[roles...]'], options: configOptions, examples }, argv, out);
  if (!read) return 0;
  const { tellSettings } = await import('./adapters/told-settings.ts');
  const { configTable } = await import('./verbs/config.ts');
  const { connectionOptions } = await import('./adapters/connection.ts');
  const { upOptionSpecs } = await import('./up/options.ts');
  const own = { up: upOptionSpecs, cli: connectionOptions };
  const told = tellSettings(servicesOf(findRoot()), own, read.operands);
  if (outputFormat(read.options, plainFormats) === 'json') out(`${JSON.stringify(told, null, 2)}\n`);
  else {
    const { renderNotes, renderRows } = await import('./output/table.ts');
    const table = configTable(told, entry.name === 'config show', read.options['origin'] === true);
    out(renderRows(table, { color: color(process.stdout) }));
    note(renderNotes(table, { color: false }));
  }
  return told.problems.length > 0 ? 2 : 0;
}

const runService = async (service: string, argv: readonly string[]): Promise<number> => {
  const { runRole } = await import('./adapters/role-child.ts');
  const { nodeFlags } = await import('./up/commands.ts');
  return runRole(nodeFlags[service] ?? [], join(servicesOf(findRoot()), service, 'main.js'), argv);
};

async function main(argv: readonly string[]): Promise<number> {
  // A verb may be two words: `hosts forget`.
  const two = argv.slice(0, 2).join(' ');
  const [name, ...rest] = verbList.some((v) => v.name === two) ? [two, ...argv.slice(2)] : argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? note : out)(helpText());
    return name === undefined ? 2 : 0;
  }
  const entry = verbList.find((v) => v.name === (name === '--version' || name === '-V' ? 'version' : name));
  if (!entry) {
    const names = verbList.map((v) => v.name);
    const close = names.find((n) => n.startsWith(`${name} `)) ?? nearest(name, names);
    throw new MusterError('config/invalid', `unknown verb ${JSON.stringify(name)}`, {
      cause: `there are ${verbList.map((v) => v.name).join(', ')}`,
      remedy: close ? `did you mean \`muster ${close}\`?` : 'see `muster --help`',
    });
  }
  if (entry.verb.kind === 'data') return runAsk(entry, await entry.verb.load(), rest);
  if (entry.verb.kind === 'role') {
    const code = await runService(entry.verb.service, rest);
    if (rest.includes('--help') && entry.verb.examples)
      out(`\nexamples:\n${entry.verb.examples.map((e) => `  ${e}\n`).join('')}`);
    return code;
  }
  if (entry.name === 'watch') return runAsk(entry, undefined, rest);
  if (entry.name === 'up') return runUp(entry, rest);
  if (entry.name === 'load') return runLoad(entry, rest);
  if (entry.name === 'unload') return runUnload(entry, rest);
  if (entry.name === 'bus-user') return runBusUser(entry, rest);
  if (entry.name === 'completion') return runCompletion(entry, rest);
  if (entry.name.startsWith('config ')) return runConfig(entry, rest);
  if (entry.name === 'doctor') return runDoctor(entry, rest);
  const { version } = JSON.parse(readFileSync(join(findRoot(), 'package.json'), 'utf8')) as { version: string };
  const versions = { muster: version, node: process.version, kernel: release() };
  if (rest.includes('json')) out(`${JSON.stringify(versions)}\n`);
  else out(`muster ${versions.muster} (Node ${versions.node}, Linux ${versions.kernel})\n`);
  return 0;
}

/** Three lines, and the exit code that goes with the error. */
function explain(error: unknown): number {
  if (error instanceof MusterError) {
    note(`${error.threeLines}\n`);
    return error.code === 'config/invalid' ? 2 : error.code === 'query/unreachable' ? 78 : 1;
  }
  if (error instanceof Error && 'threeLines' in error && 'exitCode' in error) {
    note(`${String(error.threeLines)}\n`);
    return Number(error.exitCode);
  }
  note(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}

// A reader that went away (`muster top | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
process.exitCode = await main(process.argv.slice(2)).catch(explain);
