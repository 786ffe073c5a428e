/** `npm run bench -- NAME [--json] [--seconds N] [--turns N] [--write]`: runs one benchmark, prints its figures, writes them into docs/. */
import { parseArgs } from 'node:util';
import { printConditions, printFigures, type Figure } from './figure.ts';

interface Options {
  /** Length of one measurement, in seconds. */
  readonly seconds: number;
  /** How often contenders take turns. */
  readonly turns: number;
}

interface Bench {
  readonly what: string;
  readonly run: (options: Options) => Promise<Figure[]>;
  /** Puts its figures where docs/ quote them. */
  readonly write?: (figures: readonly Figure[]) => Promise<void>;
}

const benches: Record<string, Bench> = {
  kernel: {
    what: 'ns per event of our probes beside bpftrace, libbpf-tools and the leanest common program (installs them)',
    run: async (options) => (await import('./kernel.ts')).kernel(options),
    write: async (figures) => (await import('./kernel.ts')).writeKernel(figures),
  },
  path: {
    what: 'cost of the whole path on one host: ns per event, agent CPU and memory, bytes on the wire',
    run: async (options) => (await import('./path.ts')).path(options),
    write: async (figures) => (await import('./path.ts')).writePath(figures),
  },
  fleet: {
    what: 'a synthetic fleet of 10, 100, 1000 hosts: rows per CPU second, memory, wire, recovery; beside Prometheus',
    run: async (options) => (await import('./fleet.ts')).fleet(options),
  },
  query: {
    what: 'an answer over 1,000 hosts of 1,000 rows, grouped by one label; beside Prometheus',
    run: async (options) => (await import('./query.ts')).query(options),
  },
};

const { values, positionals } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '20' },
    turns: { type: 'string', default: '7' },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const bench = benches[positionals[0] ?? ''];
if (!bench || values.help) {
  const names = Object.entries(benches).map(([name, { what }]) => `  ${name.padEnd(10)} ${what}`);
  process.stderr.write(
    `usage: npm run bench -- NAME [--json] [--seconds N] [--turns N] [--write]\n\n${names.join('\n')}\n`,
  );
  process.exit(values.help ? 0 : 2);
}
printConditions();
const figures = await bench.run({ seconds: Number(values.seconds), turns: Number(values.turns) });
printFigures(positionals[0]!, figures, values.json);
if (values.write) await bench.write?.(figures);
printConditions();
