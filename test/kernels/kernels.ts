/** Debian's kernels for guests, as deploy/kernels.sh keeps them. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../integration/instance.ts';

export interface Kernel {
  readonly suite: string;
  /** As `uname -r` says it. */
  readonly release: string;
  /** Files. */
  readonly image: string;
  readonly module: string;
}

export interface Missing {
  readonly suite: string;
  /** Why. */
  readonly missing: string;
  /** The mirror gave nothing: nothing is wrong here. */
  readonly unreachable: boolean;
}
export type Found = Kernel | Missing;

export const suites = ['bookworm', 'trixie', 'bullseye'] as const;
export type Suite = (typeof suites)[number];

/** All suites, fetched where they are not there yet; what cannot be had says why. */
export function findKernels(): Map<Suite, Found> {
  const run = spawnSync('bash', [join(root, 'deploy/kernels.sh'), ...suites], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = new Map(run.stdout.split('\n').map((line) => [line.split('\t')[0]!, line.split('\t')]));
  return new Map(
    suites.map((suite): [Suite, Found] => {
      const [, state, rest] = lines.get(suite) ?? [];
      if (state !== 'ok') {
        const missing = rest ?? `deploy/kernels.sh ended with ${run.status}`;
        return [suite, { suite, missing, unreachable: state === 'unreachable' }];
      }
      const file = (name: string): string => join(rest!, name);
      return [
        suite,
        {
          suite,
          release: readFileSync(file('release'), 'utf8').trim(),
          image: file('vmlinuz'),
          module: file('vmxnet3.ko'),
        },
      ];
    }),
  );
}
