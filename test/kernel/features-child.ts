/** Becomes an agent's uid on a kernel that is said to refuse bpf() without CAP_BPF, and tells what it is left with. */
import { bpfRefused } from '../../services/shared/adapters/libbpf-features.ts';
import { describePrivileges, dropPrivileges } from '../../services/agent/adapters/privileges.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';

bpfRefused();
try {
  const left = dropPrivileges(61184, 61184, () => process.argv[2] === 'refused');
  process.stdout.write(JSON.stringify({ left, words: describePrivileges(left) }));
} catch (error) {
  process.stdout.write(JSON.stringify({ error: error instanceof MusterError ? error.threeLines : String(error) }));
}
