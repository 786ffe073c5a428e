/** Compiles a probe's source for a test, with the flags of deploy/build-bpf.sh; objects lie in a folder of their own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

const root = join(import.meta.dirname, '../..');
const directory = mkdtempSync(join(tmpdir(), 'muster-probe-'));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Compiles `source` as <name>.bpf.c; gives the object's path. */
export function compileToFile(name: string, source: string): string {
  const path = join(directory, `${name}.bpf.c`);
  writeFileSync(path, source);
  const object = join(directory, `${name}.bpf.o`);
  execFileSync(join(root, 'deploy/build-bpf.sh'), [path, object], { stdio: ['ignore', 'ignore', 'inherit'] });
  return object;
}

export const compile = (name: string, source: string): Uint8Array => readFileSync(compileToFile(name, source));

/** A probe of one table that counts system calls; the parts that tests vary are parameters. */
export function probeSource(
  parts: {
    key?: string;
    fill?: string;
    declare?: string;
    hook?: string;
    before?: string;
    body?: string;
    count?: string;
  } = {},
): string {
  const table = 'tiny';
  return `#pragma clang diagnostic ignored "-Wunused"
#pragma clang diagnostic ignored "-Wunused-parameter"
#include "muster.bpf.h"
${parts.before ?? ''}
struct tiny_key { ${parts.key ?? '__u64 syscall MUSTER_AS("syscall"); struct muster_comm comm;'} };
${parts.declare ?? `MUSTER_COUNTER(${table}, struct tiny_key, 1024, "calls", "a small table");`}
SEC("${parts.hook ?? 'tp_btf/sys_enter'}")
int on_event(__u64 *args)
{
	struct tiny_key key = {};
	${parts.fill ?? 'key.syscall = args[1]; key.comm = muster_comm();'}
	${parts.body ?? ''}
	${parts.count ?? 'muster_add(tiny, &key, 1);'}
	return 0;
}
char LICENSE[] SEC("license") = "Dual BSD/GPL";
`;
}
