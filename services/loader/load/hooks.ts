/**
 * What is known of each kind of hook: does the kernel count the runs it skips because a program is already running on
 * that CPU (recursion_misses)? Where it does not, answers say "skips unknown". A kprobe that meets another is skipped
 * before any program is: the link alone counts that (`missed`), and an agent may not open a link.
 * Sources: kernel/bpf/trampoline.c, kernel/trace/bpf_trace.c, kernel/kprobes.c.
 */
const always = ['tp_btf', 'raw_tp', 'raw_tracepoint', 'fentry', 'fexit', 'fmod_ret', 'lsm', 'iter'];
const classic = ['tp', 'tracepoint', 'uprobe'];

/** `hasStruct` tells whether the kernel has a struct with these members; asked only where it decides. */
export function skipsCounted(hook: string, hasStruct: (...members: string[]) => boolean): boolean {
  const kind = hook.split('/')[0]!;
  return always.includes(kind) || (classic.includes(kind) && hasStruct(...sinceSkipsCounted));
}

/**
 * No feature says so itself: the counter of the classic kinds came with the series that lets a link of a kprobe tell its
 * misses (Linux 6.7), whose struct bpf_link_info.perf_event.kprobe got the member `missed`.
 */
const sinceSkipsCounted = ['func_name', 'name_len', 'missed'] as const;
