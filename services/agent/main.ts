/** The agent's process: settings, everything loaded, privileges dropped, then pins and network. */
import { randomBytes } from 'node:crypto';
import { hostname, machine, release } from 'node:os';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { boottimeNs } from '../shared/adapters/libc.ts';
import { bpfRefused } from '../shared/adapters/libbpf-features.ts';
import { createPinnedTables } from '../shared/adapters/libbpf-pinned-tables.ts';
import { natsAccess } from '../shared/adapters/credential-files.ts';
import { createNatsAgentBus } from '../shared/adapters/nats-agent-bus.ts';
import { createLog } from '../shared/adapters/pino-log.ts';
import { failRole, onceTold } from '../shared/adapters/role-process.ts';
import { roleSettings } from '../shared/adapters/role-settings.ts';
import { durableSubject, encodeHost, refusedSubject, resyncSubject } from '../shared/contract/subjects.ts';
import { exitUnconfirmed } from '../shared/runtime/exit-codes.ts';
import { roleHelp } from '../shared/runtime/settings.ts';
import { createAgent, step } from './agent.ts';
import { defaultLimits, type Privacy } from './config.ts';
import type { Instant } from './effects.ts';
import { createPinPerformer } from './perform.ts';
import { agentSettings } from './settings.ts';
import { drive } from './adapters/drive.ts';
import { createHostNames } from './adapters/host-names.ts';
import { createNames } from './adapters/names.ts';
import { createKeeperClient } from './adapters/keeper-client.ts';
import { keyedDigest, readDigestKey } from './adapters/keyed-digest.ts';
import { describePrivileges, dropPrivileges, onlyBpf, readPrivileges, requireBpf } from './adapters/privileges.ts';

/** Longest time for the last read to be confirmed. */
const stopBoundMs = 5000;
/** While the kernel times programs each run costs it some 75 ns more: a quarter of a second in a minute. */
const measureSeconds = 0.25;
const connectPatienceMs = 2000;
const firstConnectionMs = 2000;

async function main(): Promise<void> {
  const settings = agentSettings(hostname());
  const { values } = roleSettings('agent', settings);
  if (values.help) {
    process.stdout.write(roleHelp('agent', 'reads pinned tables and publishes what they count', settings));
    return;
  }
  const log = createLog(values.logLevel, { role: 'agent', host: values.host });
  // libbpf and the foreign function interface are loaded here, while files can still be read.
  const tables = createPinnedTables(values.pinRoot);
  const now = (): Instant => ({ boottimeNs: boottimeNs(), wallNs: BigInt(Date.now()) * 1_000_000n });
  now();
  const access = natsAccess(values);
  const privacy = privacyOf(values);
  const privileges =
    values.uid === undefined ? readPrivileges() : dropPrivileges(values.uid, values.gid ?? values.uid, bpfRefused);
  requireBpf(bpfRefused());
  const capabilities = describePrivileges(privileges);
  if (capabilities !== 'none' && capabilities !== onlyBpf)
    log.warn({ capabilities }, 'this process could run with less');

  const bus = createNatsAgentBus({
    ...access,
    name: `muster-agent ${values.host}`,
    inbox: encodeHost(values.host),
    log,
  });
  // A first read that cannot be published yet gains nothing; a bus that stays away holds up nothing else.
  await Promise.race([bus.ready.catch(() => undefined), sleep(firstConnectionMs)]);
  bus.ready.catch(failRole);
  // A moment's patience, so that a server that is there is not reported as away.
  await Promise.race([bus.ready, new Promise((resolve) => setTimeout(resolve, connectPatienceMs).unref())]);
  const core = createAgent({
    host: values.host,
    hostLabels: values.label,
    kernelRelease: release(),
    machine: machine(),
    privacy,
    startId: randomBytes(8).toString('hex'),
    intervalNs: BigInt(values.interval) * 1_000_000n,
    wireVersion: values.wireVersion,
    limits: defaultLimits,
    measureEveryNs:
      values.socket === undefined || values.measureEvery === 0 ? undefined : BigInt(values.measureEvery) * 1_000_000n,
  });
  const performer = createPinPerformer(tables, now);
  const keeper = createKeeperClient(values.socket);
  const driver = drive({
    step: (event) => step(core, event),
    performer,
    tables,
    bus,
    keeper,
    names: createNames(
      createHostNames(() => performance.now()),
      keeper,
      log,
      () => performance.now(),
    ),
    log,
    now,
    intervalMs: values.interval,
    measureSeconds,
    subjects: {
      resync: resyncSubject(values.host),
      durable: durableSubject(values.host),
      refused: refusedSubject(values.host),
    },
  });

  onceTold(process.env['MUSTER_STDIN_LIFELINE'] === '1', async (why) => {
    log.info({ why }, 'stopping: last read');
    const how = await driver.stop(stopBoundMs);
    if (how === 'timeout') log.warn({}, 'the last read was not confirmed; the pins keep what it held');
    await bus.close();
    performer.closeAll();
    process.exit(how === 'timeout' ? exitUnconfirmed : 0);
  });
  process.stdout.write(
    `${JSON.stringify({ ready: 'agent', host: values.host, pid: process.pid, uid: process.getuid!(), capabilities, lineages: core.lineages.size })}\n`,
  );
}

/** Reads the key while files can be read. */
function privacyOf({ hide, hideKey }: { hide: Privacy['rules']; hideKey: string | undefined }): Privacy | undefined {
  if (hide.size === 0) return undefined;
  const hashes = [...hide.values()].some((rule) => rule.kind === 'hash');
  const key = hashes ? readDigestKey(hideKey) : Buffer.alloc(0);
  return { rules: hide, digest: keyedDigest(key) };
}

main().catch(failRole);
