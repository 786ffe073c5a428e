/** `muster doctor`: facts about this machine → pass, warn or fail, each with the fix. Pure. */
import { missingOf, testedFloor, type KernelReport } from '../../shared/runtime/kernel-features.ts';

export interface HostFacts {
  readonly kernel: string;
  readonly node: string;
  readonly btf: boolean;
  /** What the kernel has of what Muster needs, or why that could not be tried. */
  readonly features: KernelReport | { readonly error: string };
  /** Type of the file system at /sys/fs/bpf and /sys/kernel/tracing; undefined when it cannot be told. */
  readonly bpffs: boolean;
  readonly tracefs: boolean;
  readonly uid: number;
  readonly missingCapabilities: readonly string[];
  /** Version of libbpf through FFI, or why it did not load. */
  readonly libbpf: { readonly version: string } | { readonly error: string };
  /** First line of `PROGRAM --version`, or undefined when it is not installed. */
  readonly natsServer: string | undefined;
  readonly redisServer: string | undefined;
  readonly setpriv: boolean;
  readonly objects: readonly string[];
  /** `free`, `muster` when a Muster answers there, or why the address cannot be used. */
  readonly listen: { readonly address: string; readonly state: string };
  /** The Redis that was named with --redis; undefined when none was. */
  readonly redis: RedisFacts | { readonly error: string } | undefined;
  readonly nats: NatsFacts | { readonly error: string } | undefined;
}

export interface RedisFacts {
  readonly version: string;
  readonly policy: string;
  readonly appendOnly: string;
  readonly appendFsync: string;
}

export interface NatsFacts {
  readonly version: string;
  readonly jetstream: boolean;
  readonly payloadMax: number;
}

export interface Check {
  readonly name: string;
  readonly result: 'pass' | 'warn' | 'fail';
  readonly found: string;
  /** Empty when it passed. */
  readonly fix: string;
}

export function examine(facts: HostFacts): Check[] {
  const check = (name: string, result: Check['result'], found: string, fix: string): Check => ({
    name,
    result,
    found,
    fix: result === 'pass' ? '' : fix,
  });
  const must = (name: string, good: boolean, found: string, fix: string): Check =>
    check(name, good ? 'pass' : 'fail', found, fix);
  const should = (name: string, good: boolean, found: string, fix: string): Check =>
    check(name, good ? 'pass' : 'warn', found, fix);
  return [
    check('kernel', 'pass', facts.kernel, ''),
    ...examineKernel(facts.features),
    must(
      'kernel BTF',
      facts.btf,
      facts.btf ? 'present' : 'no /sys/kernel/btf/vmlinux',
      'use a kernel built with CONFIG_DEBUG_INFO_BTF=y',
    ),
    must(
      'bpffs',
      facts.bpffs,
      facts.bpffs ? 'mounted at /sys/fs/bpf' : 'not mounted',
      'as root: mount -t bpf bpf /sys/fs/bpf',
    ),
    should(
      'tracefs',
      facts.tracefs,
      facts.tracefs ? 'mounted at /sys/kernel/tracing' : 'not mounted',
      'as root: mount -t tracefs tracefs /sys/kernel/tracing',
    ),
    must(
      'privilege to load BPF',
      facts.missingCapabilities.length === 0,
      facts.missingCapabilities.length === 0
        ? `uid ${facts.uid}`
        : `uid ${facts.uid} lacks ${facts.missingCapabilities.join(', ')}`,
      'run as root (sudo); only the loader keeps the privilege',
    ),
    'version' in facts.libbpf
      ? check('libbpf through FFI', 'pass', facts.libbpf.version, '')
      : check('libbpf through FFI', 'fail', facts.libbpf.error, 'apt-get install libbpf-dev, then deploy/setup.sh'),
    must('BPF objects', facts.objects.length > 0, facts.objects.join(', ') || 'none', 'run deploy/setup.sh'),
    must('setpriv', facts.setpriv, facts.setpriv ? 'found' : 'not found', 'apt-get install util-linux'),
    should(
      'nats-server',
      facts.natsServer !== undefined,
      facts.natsServer ?? 'not found',
      'apt-get install nats-server, or give --nats HOST:PORT',
    ),
    should(
      'redis-server',
      facts.redisServer !== undefined,
      facts.redisServer ?? 'not found',
      'apt-get install redis-server, or give --redis HOST:PORT',
    ),
    check(
      `address ${facts.listen.address}`,
      facts.listen.state === 'free' || facts.listen.state === 'muster' ? 'pass' : 'warn',
      facts.listen.state === 'muster' ? 'a Muster answers here' : facts.listen.state,
      'stop what listens there, or choose another --listen',
    ),
    ...(facts.nats === undefined ? [] : examineNats(facts.nats)),
    ...(facts.redis === undefined ? [] : examineRedis(facts.redis)),
  ];
}

function examineKernel(report: HostFacts['features']): Check[] {
  const name = 'kernel features';
  const fix = `use Linux ${testedFloor} or newer (what is tested), or a distribution’s kernel that has these`;
  // Without the privilege, which has a line of its own, nothing can be tried.
  if ('error' in report) return [{ name, result: 'warn', found: report.error, fix: 'run `muster doctor` as root' }];
  const missing = missingOf(report.features);
  const lacking = missing.length > 0;
  const features: Check = {
    name,
    result: lacking ? 'fail' : 'pass',
    found: lacking ? `lacks ${missing.join(', ')}` : `all ${report.features.length} are there`,
    fix: lacking ? fix : '',
  };
  const agent: Check =
    report.agentNeedsBpf === true
      ? {
          name: 'agent’s privilege',
          result: 'warn',
          found: 'this kernel refuses every bpf() call without CAP_BPF (Linux before 5.19, unprivileged BPF off)',
          fix: '`muster up` lets the agent keep CAP_BPF; one of your own needs it too; or use Linux 5.19 or newer',
        }
      : { name: 'agent’s privilege', result: 'pass', found: 'it needs none', fix: '' };
  return report.agentNeedsBpf === undefined ? [features] : [features, agent];
}

function examineNats(nats: NatsFacts | { readonly error: string }): Check[] {
  if ('error' in nats)
    return [{ name: 'NATS', result: 'fail', found: nats.error, fix: 'start nats-server, or check --nats' }];
  const roomy = nats.payloadMax >= 1024 * 1024;
  return [
    { name: 'NATS', result: 'pass', found: nats.version, fix: '' },
    {
      name: 'NATS JetStream',
      result: nats.jetstream ? 'pass' : 'fail',
      found: nats.jetstream ? 'on' : 'off',
      fix: nats.jetstream ? '' : 'start nats-server with JetStream (-js)',
    },
    {
      name: 'NATS max_payload',
      result: roomy ? 'pass' : 'fail',
      found: `${nats.payloadMax} bytes`,
      fix: roomy ? '' : 'set max_payload: 1MB',
    },
  ];
}

function examineRedis(redis: RedisFacts | { readonly error: string }): Check[] {
  if ('error' in redis)
    return [{ name: 'Redis', result: 'fail', found: redis.error, fix: 'start redis-server, or check --redis' }];
  const setting = (name: string, found: string, wanted: string, weak: Check['result'], fix: string): Check => {
    const good = found === wanted;
    return { name: `Redis ${name}`, result: good ? 'pass' : weak, found: found || 'unknown', fix: good ? '' : fix };
  };
  return [
    { name: 'Redis', result: 'pass', found: redis.version, fix: '' },
    setting(
      'maxmemory-policy',
      redis.policy,
      'noeviction',
      'fail',
      'config set maxmemory-policy noeviction: eviction is silent loss',
    ),
    setting(
      'appendonly',
      redis.appendOnly,
      'yes',
      'warn',
      'config set appendonly yes: a restart would lose checkpoints',
    ),
    setting(
      'appendfsync',
      redis.appendFsync,
      'always',
      'warn',
      'config set appendfsync always: a crash of the machine may lose the last second',
    ),
  ];
}
