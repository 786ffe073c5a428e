/** Muster's own accounts, on a model of what bpf/muster.bpf.c does with them: each difference is counted once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finalsMax } from '../../services/agent/accounts.ts';
import type { AgentLimits } from '../../services/agent/config.ts';
import { accountBytes, accountKinds, accountTaken } from '../../services/shared/contract/accounts.ts';
import { toBigInt } from '../../services/shared/algebra/limbs.ts';
import { models } from '../simulation/catalogue.ts';
import type { SimLineage } from '../simulation/pins.ts';
import { controlOf, count, Rig, second, TestAgent } from './rig.ts';

const small = models.calls[0]!;
const eager = { sealGapNs: 2n * second, sealAgeNs: 4n * second, durableRetryNs: 5n * second };

/** The program of one lineage of `muster`. */
class Inbox {
  readonly sources = new Map<string, bigint>();
  unlabelled = 0n;
  /** Answers given to one walk at most: a host has as many accounts taken as it has maps. */
  walk = Infinity;

  take(accounts: Uint8Array): Uint8Array {
    const answers: number[] = [];
    const view = new DataView(accounts.buffer, accounts.byteOffset, accounts.length);
    for (let at = 0; at < accounts.length && answers.length < this.walk; at += accountBytes) {
      const [kind, high, low, number, value, before] = [0, 1, 2, 3, 4, 5].map((w) =>
        view.getBigUint64(at + w * 8, true),
      );
      answers.push(accountTaken);
      if (kind === accountKinds.forget) {
        this.sources.delete(`${value} ${high} ${low} ${number}`);
        continue;
      }
      if (kind !== accountKinds.unlabelled) continue;
      const source = `${kind} ${high} ${low} ${number}`;
      const last = this.sources.get(source) ?? before!;
      if (value! > last) this.unlabelled += value! - last;
      this.sources.set(source, value! > last ? value! : last);
    }
    return Uint8Array.from(answers);
  }
}

function begin(rig: Rig, inboxes: Map<string, Inbox>, limits: Partial<AgentLimits> = eager): TestAgent {
  const agent = new TestAgent(rig, limits);
  const { performer } = agent;
  const perform = performer.perform.bind(performer);
  performer.perform = (effect) =>
    effect.kind === 'account'
      ? {
          kind: 'accounted',
          directory: effect.directory,
          answers: inboxes.get(effect.directory)!.take(effect.accounts),
        }
      : perform(effect);
  return agent;
}

function muster(rig: Rig, inboxes: Map<string, Inbox>): Inbox {
  const { directory } = rig.attach({ ...small, probe: 'muster' });
  const inbox = new Inbox();
  inboxes.set(directory, inbox);
  return inbox;
}

/** What found no row, of all generations. */
const lost = (lineage: SimLineage): bigint => toBigInt(lineage.truth[0]!, (lineage.truth[0]!.length / 2 - 1) * 2);

/** Overflows the table of 8 rows again and again, through generations. */
function overflowing(agent: TestAgent, lineage: SimLineage, ticks: number): void {
  for (let i = 0; i < ticks; i++) {
    for (let key = 0; key < 14; key++) count(lineage, key, 3);
    agent.run(1);
    const { generation, state } = controlOf(lineage);
    if (state === 'sealed') agent.durable(lineage, generation - 1n);
  }
}

test('of a probe that is older than muster, all that its generations lose after the first look is counted', () => {
  const rig = new Rig();
  const inboxes = new Map<string, Inbox>();
  const lineage = rig.attach(small);
  rig.boottimeNs += second;
  const inbox = muster(rig, inboxes);
  const agent = begin(rig, inboxes);
  agent.run(11);
  overflowing(agent, lineage, 60);
  agent.run(30);
  assert.ok(controlOf(lineage).generation > 5n);
  assert.ok(lost(lineage) > 100n);
  assert.equal(inbox.unlabelled, lost(lineage));
});

for (const older of [true, false]) {
  test(`a muster that is loaded anew counts nothing again of a probe ${older ? 'older' : 'younger'} than both`, () => {
    const rig = new Rig();
    const inboxes = new Map<string, Inbox>();
    const attached: SimLineage[] = older ? [rig.attach(small)] : [];
    rig.boottimeNs += second;
    const first = muster(rig, inboxes);
    const old = [...rig.lineages.values()].at(-1)!;
    rig.boottimeNs += second;
    const lineage = attached[0] ?? rig.attach(small);
    const agent = begin(rig, inboxes, { sealGapNs: 10_000n * second });
    agent.run(12);
    // The first time a generation ends; from then on its successor's counters go on.
    for (let times = 0; times < 2; times++) {
      for (let key = 0; key < 14; key++) count(lineage, key, 3);
      agent.run(12);
      assert.equal(first.unlabelled, lost(lineage));
    }
    old.detach(rig.now().wallNs);
    rig.lineages.delete(old.directory);
    agent.run(5);
    rig.boottimeNs += second;
    const next = muster(rig, inboxes);
    agent.run(12);
    for (let key = 0; key < 14; key++) count(lineage, key, 3);
    agent.run(12);
    assert.ok(next.unlabelled > 0n);
    assert.equal(first.unlabelled + next.unlabelled, lost(lineage));
  });
}

test('where nothing is taken, a bounded number of accounts waits', () => {
  const rig = new Rig();
  const inboxes = new Map<string, Inbox>();
  const lineage = rig.attach(small);
  const agent = begin(rig, inboxes);
  overflowing(agent, lineage, 40);
  assert.equal(agent.core.own.finals.length, 0, 'there is no probe to count them');
  rig.boottimeNs += second;
  const inbox = muster(rig, inboxes);
  inbox.walk = 0;
  overflowing(agent, lineage, 2 * finalsMax + 100);
  assert.ok(controlOf(lineage).generation > BigInt(finalsMax));
  const { finals, first, said } = agent.core.own;
  assert.equal(finals.length, finalsMax);
  const remembered = [...first.values()].reduce((n, { stood }) => n + stood.size, said.size);
  assert.ok(remembered < 32, `${remembered} are remembered`);
});

test('what a generation lost is counted once, though its last word waits while others go by', () => {
  const rig = new Rig();
  const inboxes = new Map<string, Inbox>();
  const inbox = muster(rig, inboxes);
  const lineage = rig.attach(small);
  const agent = begin(rig, inboxes, { ...eager, sealGapNs: 5n * second, accountEveryNs: second });
  overflowing(agent, lineage, 12);
  assert.ok(inbox.unlabelled > 0n);
  inbox.walk = 0;
  overflowing(agent, lineage, 24);
  assert.ok(agent.core.own.finals.length > 2);
  inbox.walk = Infinity;
  agent.run(40);
  assert.equal(inbox.unlabelled, lost(lineage));
});
