/** What this machine has and allows, as `up` needs to know before it starts anything. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { MusterError } from '../../shared/runtime/errors.ts';

/** Bits of CapEff; numbers of include/uapi/linux/capability.h. */
const capability = { dacOverride: 1, setgid: 6, setuid: 7, sysAdmin: 21, perfmon: 38, bpf: 39 } as const;

export function effectiveCapabilities(): bigint {
  const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return BigInt(`0x${match?.[1] ?? '0'}`);
}

export function missingCapabilities(held = effectiveCapabilities()): string[] {
  const has = (bit: number): boolean => ((held >> BigInt(bit)) & 1n) === 1n;
  const missing: string[] = [];
  if (!has(capability.sysAdmin)) {
    if (!has(capability.bpf)) missing.push('CAP_BPF');
    if (!has(capability.perfmon)) missing.push('CAP_PERFMON');
  }
  if (!has(capability.dacOverride)) missing.push('CAP_DAC_OVERRIDE');
  if (!has(capability.setuid)) missing.push('CAP_SETUID');
  if (!has(capability.setgid)) missing.push('CAP_SETGID');
  return missing;
}

export const holdsBpf = (): boolean => ((effectiveCapabilities() >> BigInt(capability.bpf)) & 1n) === 1n;

/** Throws MusterError bpf/no-privilege. */
export function requirePrivilege(): void {
  const missing = missingCapabilities();
  if (missing.length === 0) return;
  throw new MusterError('bpf/no-privilege', 'start muster up: this process may not load BPF programs', {
    cause: `uid ${process.getuid?.() ?? '?'} lacks ${missing.join(', ')}`,
    remedy: 'run it as root: sudo npm start   (`muster doctor` checks the rest)',
  });
}

/** Absolute path of a program, or undefined. /usr/sbin is searched too: it is not in every user's PATH. */
export function findProgram(name: string): string | undefined {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/bin'].filter(
    Boolean,
  )) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not there.
    }
  }
  return undefined;
}

export function requireProgram(name: string, instead: string): void {
  if (findProgram(name)) return;
  throw new MusterError('role/no-program', `start ${name}: it is not installed`, {
    cause: `no ${name} in PATH`,
    remedy: `apt-get install ${name} (deploy/setup.sh does), or ${instead}`,
  });
}

/** The user `muster`, where the machine has one. */
export function findMusterUser(): { uid: number; gid: number } | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((l) => l.startsWith('muster:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid && gid && uid !== '0' ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

/** True when a folder above or at `path` belongs to another user than root. */
export function isForeign(path: string): boolean {
  for (let folder = path; ; folder = join(folder, '..')) {
    if (statSync(folder).uid !== 0) return true;
    if (folder === '/') return false;
  }
}

export function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}

/** Throws MusterError config/address-in-use when somebody listens there already. */
export function requireFreeAddress(address: string): Promise<void> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const inUse = cause.code === 'EADDRINUSE';
      reject(
        new MusterError(inUse ? 'config/address-in-use' : 'config/invalid', `listen on ${address}`, {
          cause,
          remedy: inUse ? 'stop what listens there (ss -ltnp), or choose another --listen' : 'choose another --listen',
        }),
      );
    });
    server.listen(port, host, () => server.close(() => resolve()));
  });
}
