/**
 * Numbers and names of signals below the real-time ones: runs of names from a first number.
 * Source: UAPI asm-generic/signal.h; x86-64 and aarch64 share them.
 */
export const signalNames: readonly (readonly [first: number, names: string])[] = [
  [
    1,
    `SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM
    SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF
    SIGWINCH SIGIO SIGPWR SIGSYS`,
  ],
];
