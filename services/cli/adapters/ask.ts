/** Verbs that ask the query service: one call and its answer, or a watch. The pure half comes in as parts. */
import process from 'node:process';
import { connectQuery, type QueryClient } from '../../shared/adapters/grpc-client.ts';
import { protoJson } from '../../shared/contract/proto-json.ts';
import type { MethodName, StreamName } from '../../shared/contract/query.ts';
import type { isIncomplete } from '../output/coverage.ts';
import type { outputFormat, outputOption } from '../output/format.ts';
import type { grpcurlLine } from '../output/grpcurl.ts';
import type { frame, Held } from '../output/live.ts';
import type { csv, formats, jsonLines } from '../output/records.ts';
import type { renderNotes, renderRows, Table } from '../output/table.ts';
import type { DataVerb, OptionSpec } from '../output/verb.ts';
import type { topTable } from '../verbs/top.ts';
import type { updateCount, watchExamples, watchOptions, watchPlan } from '../verbs/watch.ts';
import { clientSecurity, connectionFiles, connectionOptions } from './connection.ts';
import { readFlags } from './flags.ts';
import { showLive } from './live.ts';

export interface AskParts {
  readonly csv: typeof csv;
  readonly formats: typeof formats;
  readonly jsonLines: typeof jsonLines;
  readonly frame: typeof frame;
  readonly Held: typeof Held;
  readonly grpcurlLine: typeof grpcurlLine;
  readonly isIncomplete: typeof isIncomplete;
  readonly outputFormat: typeof outputFormat;
  readonly outputOption: typeof outputOption;
  readonly renderNotes: typeof renderNotes;
  readonly renderRows: typeof renderRows;
  readonly topTable: typeof topTable;
  readonly updateCount: typeof updateCount;
  readonly watchExamples: typeof watchExamples;
  readonly watchOptions: typeof watchOptions;
  readonly watchPlan: typeof watchPlan;
}

export interface Io {
  readonly out: (data: string | Uint8Array) => void;
  readonly note: (text: string) => void;
  readonly color: (stream: NodeJS.WriteStream) => boolean;
}

interface Entry {
  readonly name: string;
  readonly summary: string;
}
type Options = Readonly<Record<string, unknown>>;

const askOptions = (own: readonly OptionSpec[], output: OptionSpec): OptionSpec[] => [
  ...own,
  output,
  ...connectionOptions,
  { flag: '--show-rpc', help: 'print the grpcurl line that asks the same, and do not ask' },
  { flag: '--require-complete', help: 'exit with 3 when hosts are stale or times unknown' },
];

/** Prints the line that asks the same, or connects and asks. The exit code: 3 for an incomplete answer that must not be. */
async function asking(
  parts: AskParts,
  options: Options,
  method: MethodName | StreamName,
  request: object,
  io: Io,
  ask: (client: QueryClient) => Promise<object | undefined>,
): Promise<number> {
  const server = String(options['server']);
  if (options['showRpc']) {
    io.out(`${parts.grpcurlLine(server, method, request, connectionFiles(options))}\n`);
    return 0;
  }
  const client = connectQuery(server, clientSecurity(connectionFiles(options)));
  try {
    const answer = await ask(client);
    return options['requireComplete'] && answer && parts.isIncomplete(answer) ? 3 : 0;
  } finally {
    client.close();
  }
}

/** One call, shown as -o says. */
export async function runData(
  parts: AskParts,
  entry: Entry,
  verb: DataVerb,
  argv: readonly string[],
  io: Io,
): Promise<number> {
  const { documents = [] } = verb;
  const formats = [...documents.map((d) => d.name), ...parts.formats];
  const options = askOptions(verb.options, parts.outputOption(formats));
  const read = readFlags({ ...verb, name: entry.name, summary: entry.summary, options }, argv, io.out, 'cli');
  if (!read) return 0;
  const format = parts.outputFormat(read.options, formats);
  const once = read.options['once'] === true || read.options['showRpc'] === true;
  if (verb.name === 'top' && process.stdout.isTTY && format === 'table' && !once)
    return watch(parts, read.options, read.operands, 'table', io);
  const request = verb.plan(read.operands, read.options);
  return asking(parts, read.options, verb.method, request, io, async (client) => {
    const answer = await client.call(verb.method, request);
    const document = documents.find((d) => d.name === format);
    const notes = (table: Table): void => io.note(parts.renderNotes(table, { color: io.color(process.stderr) }));
    if (document) {
      io.out(document.write(answer));
      notes(verb.table(answer, 0));
    } else if (format === 'json') io.out(`${JSON.stringify(protoJson(answer), null, 2)}\n`);
    else if (format === 'table') {
      const table = verb.table(answer, process.stdout.columns || 120);
      io.out(parts.renderRows(table, { color: io.color(process.stdout) }));
      notes(table);
    } else io.out(format === 'csv' ? parts.csv(answer) : parts.jsonLines(answer));
    return answer;
  });
}

const watchFormats = ['table', 'jsonl'] as const;

export async function runWatch(parts: AskParts, entry: Entry, argv: readonly string[], io: Io): Promise<number> {
  const options = askOptions(parts.watchOptions, parts.outputOption(watchFormats));
  const usage = { ...entry, operands: ['[metric]'], options, examples: parts.watchExamples };
  const read = readFlags(usage, argv, io.out, 'cli');
  return read ? watch(parts, read.options, read.operands, parts.outputFormat(read.options, watchFormats), io) : 0;
}

/** On a terminal one table that changes in place; else a text an update. */
function watch(
  parts: AskParts,
  options: Options,
  operands: readonly string[],
  format: 'table' | 'jsonl',
  io: Io,
): Promise<number> {
  const terminal = format === 'table' && process.stdout.isTTY === true;
  const request = parts.watchPlan(operands, options);
  const style = { color: io.color(process.stdout) };
  return asking(parts, options, 'Watch', request, io, (client) =>
    showLive(client, request, {
      held: new parts.Held(request.query?.orderBy ?? ''),
      frame: parts.frame,
      show: (answer, update) => {
        if (format === 'jsonl') return `${JSON.stringify(protoJson(update))}\n`;
        const table = parts.topTable(answer);
        return `${parts.renderRows(table, style)}${parts.renderNotes(table, style)}${terminal ? '' : '\n'}`;
      },
      terminal,
      out: io.out,
      note: io.note,
      count: parts.updateCount(options),
    }),
  );
}
