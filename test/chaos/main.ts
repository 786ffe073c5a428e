/** `npm run chaos -- --minutes M [--seed S] [--kinds A,B] [--json]`: breaks a real Muster until time is up or it miscounts. */
import { parseArgs } from 'node:util';
import { join } from 'node:path';
import { root } from '../integration/instance.ts';
import { faults } from './faults/kinds.ts';
import { releaseFaults } from './faults/releases.ts';
import { runChaos } from './run.ts';
import { asJson, asTable } from './summary.ts';
import { worldNeeds } from './world.ts';

const usage = `usage: npm run chaos -- [--minutes M] [--each N] [--seed S] [--kinds TEXT,TEXT] [--older DIR]
                            [--interval TIME] [--json]

  --minutes   how long (10)
  --each      ends sooner, once each kind was inflicted so often
  --seed      of all choices (the time)
  --kinds     only kinds of fault that hold one of these texts
  --older     a checkout of a release before, built (npm run setup there): its agents and aggregator take turns too
  --interval  between two reads of an agent (1s)
  --json      one JSON line for each kind, and one for the total

kinds: ${faults.map((f) => f.kind).join(', ')}
`;
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    each: { type: 'string' },
    seed: { type: 'string', default: String(Date.now()) },
    kinds: { type: 'string', default: '' },
    older: { type: 'string' },
    interval: { type: 'string', default: '1s' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
const wanted = values.kinds.split(',');
const kinds = [...faults, ...(values.older === undefined ? [] : releaseFaults)].filter((fault) =>
  wanted.some((text) => fault.kind.includes(text)),
);
if (
  values.help ||
  !(minutes > 0) ||
  !/^\d+$/.test(values.seed) ||
  !/^\d+$/.test(values.each ?? '1') ||
  kinds.length === 0
) {
  process.stderr.write(usage);
  process.exit(values.help ? 0 : 2);
}
const need = worldNeeds();
if (need !== undefined) {
  process.stderr.write(`chaos needs ${need}\n`);
  process.exit(1);
}
const logs = join(root, 'build/chaos');
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    process.stderr.write('ending after this fault\n');
    stop.abort();
  });
}
const began = performance.now();
const outcome = await runChaos({
  seed: BigInt(values.seed),
  minutes,
  ...(values.each === undefined ? {} : { each: Number(values.each) }),
  kinds,
  interval: values.interval,
  logs,
  ...(values.older === undefined ? {} : { older: values.older }),
  signal: stop.signal,
  say: (line) => process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`),
});
process.stdout.write(`${values.json ? asJson(outcome) : asTable(outcome)}\n`);
if (outcome.miscounts.length > 0)
  process.stderr.write(`again: npm run chaos -- --seed ${outcome.seed} --minutes ${minutes}; logs are in ${logs}\n`);
process.exit(outcome.miscounts.length > 0 ? 1 : 0);
