/**
 * `npm run simulate -- --seeds N [--seed S] [--trace]`: runs N seeds from S, counts what was inflicted, and stops at
 * the first seed that loses or invents an event, with its smallest plan and the command that shows it again.
 */
import { parseArgs } from 'node:util';
import { faultKinds, type FaultKind } from './faults.ts';
import { minimise, runPlan, runSeed, type RunResult } from './run.ts';

const usage = `usage: npm run simulate -- [--seeds N] [--seed S] [--trace] [--keep-going]

  --seeds N      how many seeds to run (default 1000)
  --seed S       the first of them (default 1)
  --trace        print everything that happens
  --keep-going   do not stop at a seed that fails
`;

function options(): { first: bigint; count: number; trace: boolean; keepGoing: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: 'string' },
        seed: { type: 'string' },
        trace: { type: 'boolean' },
        'keep-going': { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    const first = BigInt(values.seed ?? 1);
    const count = Number(values.seeds ?? (values.seed ? 1 : 1000));
    if (!Number.isInteger(count) || count < 1 || first < 0n) throw new Error('--seeds and --seed are whole numbers');
    return { first, count, trace: values.trace ?? false, keepGoing: values['keep-going'] ?? false };
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}

const { first, count, trace, keepGoing } = options();
const inflicted = new Map<FaultKind, number>(faultKinds.map((kind) => [kind, 0]));
const started = performance.now();
let batches = 0;
let faults = 0;
let failed = 0;

const elapsed = (): number => (performance.now() - started) / 1000;
const bar = process.stderr.isTTY && !trace;
/** Between two lines of progress where there is no terminal. */
const lineEveryS = 10;
let nextLineS = lineEveryS;
function progress(done: number): void {
  const state = `${done}/${count} seeds, ${Math.round((done / elapsed()) * 60)} a minute`;
  if (bar) {
    const width = 30;
    const full = Math.round((done / count) * width);
    process.stderr.write(`\r[${'#'.repeat(full)}${'.'.repeat(width - full)}] ${state} `);
  } else if (elapsed() >= nextLineS) {
    nextLineS = elapsed() + lineEveryS;
    process.stderr.write(`${state}, ${failed} failed\n`);
  }
}

function report(result: RunResult): void {
  process.stderr.write(bar ? '\r\x1b[K' : '');
  const { seed } = result.plan;
  console.log(`seed ${seed} fails:`);
  for (const what of result.wrong.slice(0, 12)) console.log(`  ${what}`);
  const plan = minimise(result.plan);
  console.log(`smallest plan, ${plan.faults.length} of ${result.plan.faults.length} faults:`);
  for (const f of plan.faults) console.log(`  ${(f.atUs / 1e6).toFixed(3)} s  ${f.kind}`);
  const lines: string[] = [];
  const again = runPlan(plan, (line) => lines.push(line));
  const about = lines.filter((l) =>
    / (?:FAULT|ALARM|peace)|(?:starts|ends|dies|loads|wakes|goes on|retires|resolves|late commit|rolls back|flipped)/.test(
      l,
    ),
  );
  console.log(`what happened then:\n${about.map((l) => `  ${l}`).join('\n')}`);
  for (const what of again.wrong.slice(0, 12)) console.log(`  ${what}`);
  console.log(`again, with everything: npm run simulate -- --seed ${seed} --trace`);
}

let done = 0;
for (let seed = first; seed < first + BigInt(count); seed++) {
  const result = runSeed(seed, trace ? (line) => console.log(line) : undefined);
  done++;
  batches += result.batches;
  faults += result.inflicted.length;
  for (const kind of result.inflicted) inflicted.set(kind, inflicted.get(kind)! + 1);
  if (done % 10 === 0 || done === count) progress(done);
  if (result.wrong.length > 0) {
    failed++;
    report(result);
    if (!keepGoing) break;
  }
}
if (bar) process.stderr.write('\n');
const cpu = process.cpuUsage();
console.log(
  `${done} seeds from ${first} in ${elapsed().toFixed(1)} s: ${Math.round((done / elapsed()) * 60)} a minute, ${Math.round(batches / done)} batches and ${(faults / done).toFixed(1)} faults each; ${((cpu.user + cpu.system) / 1e6).toFixed(1)} s of CPU`,
);
const missing = [...inflicted].filter(([, n]) => n === 0).map(([kind]) => kind);
for (const [kind, n] of inflicted) console.log(`  ${String(n).padStart(7)}  ${kind}`);
if (missing.length > 0 && done >= 500) console.log(`never inflicted: ${missing.join(', ')}`);
console.log(failed === 0 ? 'every event accounted for' : `${failed} seeds failed`);
process.exit(failed > 0 || (missing.length > 0 && done >= 500) ? 1 : 0);
