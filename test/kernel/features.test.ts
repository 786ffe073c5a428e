/** What is asked of a kernel before anything is loaded, on this one; and what an agent keeps where it must. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { bpfRefused, kernelFeatures } from '../../services/shared/adapters/libbpf-features.ts';
import type { Privileges } from '../../services/agent/adapters/privileges.ts';
import { missingOf, refuseKernel } from '../../services/shared/runtime/kernel-features.ts';
import { requireOrSkip } from '../require.ts';

const isRoot = process.getuid?.() === 0;
const root = join(import.meta.dirname, '../..');

test('this kernel has all features, and says so to the doctor', (t) => {
  if (!requireOrSkip(t, 'root', isRoot)) return;
  assert.deepEqual(missingOf(kernelFeatures()), []);
  assert.equal(bpfRefused(), false);
  const main = join(root, 'services/loader/main.ts');
  const run = spawnSync(process.execPath, ['--import', 'tsx', main, '--features'], { cwd: root, encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  const report = JSON.parse(run.stdout) as { features: { present: boolean }[]; agentNeedsBpf: boolean };
  assert.equal(report.features.length, kernelFeatures().length);
  assert.ok(report.features.every((f) => f.present));
  assert.equal(report.agentNeedsBpf, false);
});

test('a refusal lists everything that is missing', () => {
  const features = ['one', 'two', 'three'].map((name, i) => ({ name, since: `5.${i}`, present: i === 1 }));
  const refusal = refuseKernel(features, '5.0.1')!;
  assert.equal(refusal.code, 'bpf/kernel');
  assert.match(
    refusal.threeLines,
    /Linux 5\.0\.1[^]*why: it has no one \(Linux 5\.0\), no three \(Linux 5\.2\)\n +fix: /,
  );
  assert.equal(refuseKernel([features[1]!], '5.0.1'), undefined);
});

/** What the child says, started with these capabilities to inherit, as `muster up` starts an agent. */
function drop(lent: string, how: 'refused' | 'allowed'): { words?: string; error?: string; left?: Privileges } {
  const words = [`--inh-caps=-all,${lent}`, 'setpriv', '--bounding-set=-all', '--no-new-privs', process.execPath];
  const child = join(import.meta.dirname, 'features-child.ts');
  const run = spawnSync('setpriv', [...words, '--import', 'tsx', child, how], { cwd: root, encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return JSON.parse(run.stdout) as ReturnType<typeof drop>;
}

test('an agent keeps CAP_BPF where the kernel refuses it everything else, and nothing where it does not', (t) => {
  if (!requireOrSkip(t, 'root', isRoot)) return;
  assert.equal(drop('+setuid,+setgid,+bpf', 'allowed').words, 'none');
  const kept = drop('+setuid,+setgid,+bpf', 'refused');
  assert.equal(kept.words, 'CAP_BPF alone');
  const { effective, permitted, bounding, uids } = kept.left!;
  assert.deepEqual([effective, permitted, bounding, uids], ['8000000000', '8000000000', '0', [61184]]);
  const lacking = drop('+setuid,+setgid', 'refused').error ?? '';
  assert.match(lacking, /without CAP_BPF\n[^]*every bpf\(\) call needs CAP_BPF[^]*\+bpf/);
});
