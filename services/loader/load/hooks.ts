/**
 * What is known of each kind of hook: does the kernel count the runs it skips because a program is already running on
 * that CPU (recursion_misses)? Where it does not, answers say "skips unknown". A kprobe that meets another is skipped
 * before any program is: the link alone counts that (`missed`), and an agent may not open a link.
 * Sources: kernel/bpf/trampoline.c, kernel/trace/bpf_trace.c (since 6.7 for the classic kinds), kernel/kprobes.c.
 */

const always = ['tp_btf', 'raw_tp', 'raw_tracepoint', 'fentry', 'fexit', 'fmod_ret', 'lsm', 'iter'];
const sinceSixSeven = ['tp', 'tracepoint', 'uprobe'];

/** `release` is the kernel's, "6.18.2-…": no feature tells whether this counter moves. */
export function skipsCounted(hook: string, release: string): boolean {
  const kind = hook.split('/')[0]!;
  if (always.includes(kind)) return true;
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return sinceSixSeven.includes(kind) && (major > 6 || (major === 6 && minor >= 7));
}
