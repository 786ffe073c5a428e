/** What a machine says whose kernel lacks what Muster needs: all of it, and before the verifier would. */
import assert from 'node:assert/strict';
import type { Guest } from './guest.ts';

/** Of Linux 5.10. */
export async function assertRefusal(old: Guest): Promise<void> {
  const lacks = ['bpf_get_current_task_btf', 'atomic instructions', 'recursion_misses'];
  const services = '/opt/muster/dist/services';
  const muster = `node ${services}/cli/main.js`;
  const doctor = await old.run(`${muster} doctor`);
  assert.equal(doctor.code, 1, doctor.output);
  assert.match(doctor.output, /kernel features +fail/);
  assert.match(doctor.output, /privilege +warn .*CAP_BPF/);
  const loads = [`${muster} load syscalls`, `node ${services}/loader/bundle.js --probes syscalls`];
  for (const command of loads) {
    const refused = await old.run(command);
    assert.equal(refused.code, 1, refused.output);
    assert.match(refused.output, /lacks what they need/);
    assert.doesNotMatch(refused.output, /verifier/);
    for (const what of lacks) assert.ok(refused.output.includes(what), `${command}: ${what}\n${refused.output}`);
  }
  for (const what of lacks) assert.ok(doctor.output.includes(what), `doctor: ${what}`);
  const drop = '/usr/bin/setpriv --inh-caps=-all,+setuid,+setgid /usr/bin/setpriv --bounding-set=-all --no-new-privs';
  const agent = `node ${services}/agent/bundle.js --nats 10.0.2.2:1 --uid 61184 --gid 61184`;
  const without = await old.run(`${drop} ${agent}`);
  assert.notEqual(without.code, 0);
  assert.match(without.output, /CAP_BPF/);
  // It ends by the hand of the shell: what has dropped its capabilities may not signal an agent of another uid.
  const ready = await old.run(
    `${drop.replace('+setgid', '+setgid,+bpf')} ${agent} >/tmp/agent 2>&1 & pid=$!; for s in $(seq 90); do ` +
      'grep -q capabilities /tmp/agent && break; sleep 1; done; kill -9 $pid; ' +
      `grep -m 1 -o '"capabilities":"[^"]*"' /tmp/agent`,
  );
  assert.equal(ready.output.trim(), '"capabilities":"CAP_BPF alone"');
}
