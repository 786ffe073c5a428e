/** What Muster needs of a kernel, each tried out: distributions carry features back, and version strings say nothing of it. */
import { MusterError } from './errors.ts';

export interface KernelFeature {
  readonly name: string;
  /** First mainline Linux with it. */
  readonly since: string;
  readonly present: boolean;
}

export interface KernelReport {
  readonly features: readonly KernelFeature[];
  /**
   * True where the kernel refuses every bpf() call of a process without CAP_BPF, as before 5.19 while unprivileged BPF
   * is off: there the agent keeps that capability. Undefined where it could not be tried.
   */
  readonly agentNeedsBpf: boolean | undefined;
}

/** The oldest kernel that the tests boot. */
export const testedFloor = '6.1';

export const missingOf = (features: readonly KernelFeature[]): string[] =>
  features.filter((f) => !f.present).map((f) => `${f.name} (Linux ${f.since})`);

/** The refusal of a kernel that lacks something, with the whole list; undefined when it has all. */
export function refuseKernel(features: readonly KernelFeature[], release: string): MusterError | undefined {
  const missing = missingOf(features);
  if (missing.length === 0) return undefined;
  return new MusterError('bpf/kernel', `load BPF programs on Linux ${release}: this kernel lacks what they need`, {
    cause: `it has no ${missing.join(', no ')}`,
  });
}
