/** The synthetic fleet's process: hosts without kernels, for benchmarks and for trying Muster without privilege. */
import { randomBytes } from 'node:crypto';
import process from 'node:process';
import { natsAccess } from '../shared/adapters/credential-files.ts';
import { createNatsAgentBus } from '../shared/adapters/nats-agent-bus.ts';
import { createLog } from '../shared/adapters/pino-log.ts';
import { failRole, onceTold } from '../shared/adapters/role-process.ts';
import { roleSettings } from '../shared/adapters/role-settings.ts';
import { exitUnconfirmed } from '../shared/runtime/exit-codes.ts';
import { roleHelp } from '../shared/runtime/settings.ts';
import { driveSynth } from './adapters/drive.ts';
import { synthSettings } from './config.ts';
import { createFleet, isUnsent, nameOf, step } from './synth.ts';
import { knownTotals } from './totals.ts';

const stopBoundMs = 8_000;

async function main(): Promise<void> {
  const { values } = roleSettings('synth', synthSettings);
  if (values.help) {
    process.stdout.write(
      roleHelp(
        'synth',
        'publishes what a fleet of agents would, marked as synthetic; what it counted in all is printed as a JSON line at the end, and on SIGUSR1',
        synthSettings,
      ),
    );
    return;
  }
  const log = createLog(values.logLevel, { role: 'synth' });
  const bus = createNatsAgentBus({ ...natsAccess(values), name: 'muster-synth', inbox: 'muster-synth', log });
  bus.ready.catch(failRole);
  await bus.ready;
  const plan = {
    hosts: values.hosts,
    rows: values.rows,
    first: values.first,
    intervalNs: BigInt(values.interval) * 1_000_000n,
    wide: values.values === 'wide',
    churn: Math.min(values.churn, values.rows),
    restarts: values.restarts,
    late: values.late,
    seed: randomBytes(8).toString('hex'),
  };
  const fleet = createFleet(plan);
  // The suspend-free clock is not at hand without privilege or foreign functions; these hosts never sleep.
  const began = process.hrtime.bigint();
  const wallBegan = BigInt(Date.now()) * 1_000_000n;
  const now = (): { boottimeNs: bigint; wallNs: bigint } => {
    const since = process.hrtime.bigint() - began;
    return { boottimeNs: process.hrtime.bigint(), wallNs: wallBegan + since };
  };
  const driver = driveSynth({
    hosts: fleet.hosts.map((_, i) => nameOf(plan, i)),
    intervalMs: values.interval,
    reads: values.reads,
    step: (event) => step(fleet, event),
    isUnsent: (host) => isUnsent(fleet.hosts[host]!),
    bus,
    now,
    log,
  });
  const tell = (final: boolean): void =>
    void process.stdout.write(`${JSON.stringify({ synthetic: { final, ...knownTotals(fleet) } })}\n`);
  process.on('SIGUSR1', () => tell(false));
  let ending: Promise<void> | undefined;
  const end = (why: string): Promise<void> =>
    (ending ??= (async () => {
      log.info({ why }, 'stopping: sending what was counted and not sent');
      const left = await driver.stop(stopBoundMs);
      if (left > 0) log.warn({ hosts: left }, 'the bus did not take all that was counted');
      tell(true);
      await bus.close();
      process.exit(left > 0 ? exitUnconfirmed : 0);
    })());
  onceTold(process.env['MUSTER_STDIN_LIFELINE'] === '1', end);
  process.stdout.write(`${JSON.stringify({ ready: 'synth', pid: process.pid, hosts: plan.hosts, rows: plan.rows })}\n`);
  await driver.over;
  await end('all reads made');
}

main().catch(failRole);
