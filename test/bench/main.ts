/**
 * `npm run bench -- NAME [--json] [--seconds N] [--turns N] [--write]`: runs one benchmark, prints its figures, writes
 * them into docs/. Exits with 1 if a figure is beyond its limit.
 */
import { parseArgs } from 'node:util';
import { beyond, printConditions, printFigures, type Figure } from './figure.ts';

interface Options {
  /** Length of one measurement, in seconds. */
  readonly seconds: number;
  /** How often contenders take turns. */
  readonly turns: number;
}

interface Report {
  readonly figures: readonly Figure[];
  /** Puts them where docs/ quote them. */
  readonly write?: () => Promise<void>;
}

interface Bench {
  readonly what: string;
  readonly run: (options: Options) => Promise<Report>;
}

const benches: Record<string, Bench> = {
  kernel: {
    what: 'ns per event of our probes beside bpftrace, libbpf-tools and the leanest common program (installs them)',
    run: async (options) => {
      const { kernel, writeKernel } = await import('./kernel.ts');
      const figures = await kernel(options);
      return { figures, write: () => writeKernel(figures) };
    },
  },
  techniques: {
    what: 'each technique beside the naive ways, and those that articles print: ns, losses, memory, recovery',
    run: async (options) => {
      const { figuresOf, measureAll, writeTechniques } = await import('./techniques.ts');
      const measured = await measureAll(options);
      return { figures: figuresOf(measured), write: () => writeTechniques(measured) };
    },
  },
  path: {
    what: 'cost of the whole path on one host: ns per event, agent CPU and memory, bytes on the wire',
    run: async (options) => {
      const { path, writePath } = await import('./path.ts');
      const figures = await path(options);
      return { figures, write: () => writePath(figures) };
    },
  },
  fleet: {
    what: 'a synthetic fleet of 10, 100, 1000 hosts: rows per CPU second, memory, wire, recovery; beside Prometheus',
    run: async (options) => ({ figures: await (await import('./fleet.ts')).fleet(options) }),
  },
  query: {
    what: 'an answer over 1,000 hosts of 1,000 rows, grouped by one label; beside Prometheus',
    run: async (options) => ({ figures: await (await import('./query.ts')).query(options) }),
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
const { figures, write } = await bench.run({ seconds: Number(values.seconds), turns: Number(values.turns) });
printFigures(positionals[0]!, figures, values.json);
if (values.write) await write?.();
printConditions();
const failed = figures.filter(beyond);
for (const f of failed)
  process.stderr.write(`beyond its limit: ${f.figure}${f.peerName ? ` beside ${f.peerName}` : ''}\n`);
if (failed.length > 0) process.exitCode = 1;
