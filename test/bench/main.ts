/** `npm run bench -- NAME [--json] [--seconds N]`: runs one benchmark and prints its figures. */
import { parseArgs } from 'node:util';
import { printConditions, printFigures, type Figure } from './figure.ts';

interface Options {
  /** Length of one measurement, in seconds. */
  readonly seconds: number;
}

const benches: Record<string, { readonly what: string; readonly run: (options: Options) => Promise<Figure[]> }> = {
  path: {
    what: 'cost of the whole path on one host: ns per event, agent CPU and memory, bytes on the wire',
    run: async (options) => (await import('./path.ts')).path(options),
  },
};

const { values, positionals } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '20' },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const bench = benches[positionals[0] ?? ''];
if (!bench || values.help) {
  const names = Object.entries(benches).map(([name, { what }]) => `  ${name.padEnd(10)} ${what}`);
  process.stderr.write(`usage: npm run bench -- NAME [--json] [--seconds N]\n\n${names.join('\n')}\n`);
  process.exit(values.help ? 0 : 2);
}
printConditions();
printFigures(positionals[0]!, await bench.run({ seconds: Number(values.seconds) }), values.json);
printConditions();
