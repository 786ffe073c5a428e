/**
 * A whole fleet in one thread and virtual time: hosts that count, real agent cores, a stream, real aggregator cores, a
 * store. Everything that happens follows from the plan, which follows from the seed.
 */
import { AgentProcess } from './agent-process.ts';
import { AggregatorProcess } from './aggregator-process.ts';
import { SimStream } from './bus.ts';
import { EventQueue } from './event-queue.ts';
import { SimHost } from './host.ts';
import type { Plan } from './plan.ts';
import { createRandom, type Random } from './random.ts';
import { SimStore } from './store.ts';
import { encodeHost, partitionOf } from '../../services/shared/contract/subjects.ts';
import { wireNewest, wireOldest } from '../../services/shared/contract/wire.ts';
import type { ErrorCode } from '../../services/shared/runtime/errors.ts';

/** A host's way to the bus; all zero: sound. */
export interface Link {
  down: boolean;
  drop: number;
  duplicate: number;
  corrupt: number;
  lostAck: number;
  delayUs: number;
}

export interface Machine {
  readonly host: SimHost;
  readonly link: Link;
  readonly scale: number;
  readonly intervalUs: number;
  /** The host as subjects spell it. */
  readonly token: string;
  agents: AgentProcess[];
  /** What the next agent started here writes. */
  wireVersion: number;
}

const soundLink = (): Link => ({ down: false, drop: 0, duplicate: 0, corrupt: 0, lostAck: 0, delayUs: 0 });
const publishTimeoutUs = 3_000_000;

export class World {
  readonly queue = new EventQueue();
  readonly random: Random;
  readonly stream = new SimStream();
  readonly store = new SimStore();
  readonly machines: readonly Machine[];
  readonly partitions: readonly number[];
  readonly alarms: string[] = [];
  aggregators: AggregatorProcess[] = [];
  /** Between aggregators and bus, and aggregators and store. */
  busDown = false;
  storeDown = false;
  /** What may happen to a commit: shares of replies lost, of requests that arrive late. */
  lostReply = 0;
  lateCommit = 0;
  reorder = false;
  tellDrop = 0;
  /** Newest wire version that the aggregators read. */
  wireRead = wireNewest;
  aggregatorWallOffsetUs = 0;
  /** The process that stops at its next effect. */
  pauseSoon: AgentProcess | undefined;
  generating = true;
  healing = false;
  batches = 0;
  readonly tracing: ((line: string) => void) | undefined;
  private starts = 0;

  constructor(
    readonly plan: Plan,
    trace?: (line: string) => void,
  ) {
    this.random = createRandom(plan.seed);
    this.tracing = trace && ((line) => trace(`${(this.queue.nowUs / 1e6).toFixed(6)} ${line}`));
    this.machines = plan.hosts.map(({ name, cpus, probes, scale, intervalUs }) => ({
      host: new SimHost(name, cpus, probes, this.queue, this.random.fork()),
      link: soundLink(),
      scale,
      intervalUs,
      token: encodeHost(name),
      agents: [],
      wireVersion: this.random.between(wireOldest, wireNewest),
    }));
    this.partitions = [...new Set(plan.hosts.map((h) => partitionOf(h.name)))];
    for (const m of this.machines) {
      this.startAgent(m);
      this.generate(m, this.random.fork());
    }
    this.startAggregator();
  }

  trace(line: string): void {
    this.tracing?.(line);
  }

  alarm(what: string): void {
    this.trace(`ALARM ${what}`);
    this.alarms.push(what);
  }

  startAgent(m: Machine): AgentProcess {
    const agent = new AgentProcess(this, m, `${m.host.name}#${++this.starts}`, m.wireVersion);
    m.agents.push(agent);
    this.trace(`${agent.startId} starts, wire version ${m.wireVersion}`);
    return agent;
  }

  startAggregator(): AggregatorProcess {
    const aggregator = new AggregatorProcess(this, `aggregator#${++this.starts}`);
    this.aggregators.push(aggregator);
    this.trace(`${aggregator.name} starts`);
    return aggregator;
  }

  /** Programs run, in bursts, for as long as events are generated. */
  private generate(m: Machine, random: Random): void {
    const burst = (): void => {
      if (!this.generating) return;
      this.queue.after(random.between(50_000, 1_000_000), burst);
      for (const lineage of m.host.lineages.values()) {
        lineage.slots.forEach((slots, table) => {
          const keys = slots[0].catalogue.count;
          for (let i = random.below(keys > 100 ? 40 : 4); i > 0; i--) {
            // Few keys often, all of them now and then.
            const key = Math.floor(keys * (random.next() / 2 ** 32) ** 2);
            const n = random.between(1, 1000) * m.scale;
            m.host.event(lineage, table, key, n, m.scale === 1 ? n * 37 : n);
          }
        });
      }
    };
    burst();
  }

  /** One message from an agent to the stream. Answers once, with a code when it failed or nothing is known. */
  publish(
    m: Machine,
    subject: string,
    id: string,
    payload: Uint8Array,
    answer: (code: ErrorCode | undefined) => void,
  ): void {
    const { queue, random } = this;
    const { link } = m;
    this.batches++;
    let open = true;
    const reply = (code: ErrorCode | undefined): void => {
      if (!open) return;
      open = false;
      answer(code);
    };
    const sentUs = queue.nowUs;
    const never = (): void => queue.at(sentUs + publishTimeoutUs, () => reply('bus/publish'));
    if (link.down) {
      if (random.chance(0.5)) queue.after(100_000, () => reply('bus/unreachable'));
      else never();
      return;
    }
    if (random.chance(link.drop)) return never();
    if (link.delayUs > 0) never();
    const copies = random.chance(link.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      queue.after(this.delay(link), () => {
        const bytes = random.chance(link.corrupt) ? flipped(payload, random) : payload;
        const outcome = this.stream.store(subject, id, bytes, queue.nowUs);
        this.tracing?.(`stream: ${id} ${outcome}`);
        if (outcome === 'stored') this.pump(Number(subject.split('.')[3]));
        if (link.down || random.chance(link.lostAck)) return never();
        queue.after(this.delay(link), () => reply(outcome === 'full' ? 'bus/stream-full' : undefined));
      });
    }
  }

  private delay(link: Link): number {
    return this.random.between(300, 3_000) + (link.delayUs > 0 ? this.random.below(link.delayUs) : 0);
  }

  /** Something may be there for the consumers of a partition. */
  pump(partition: number): void {
    if (this.busDown) return;
    const takers = this.aggregators.filter((a) => !a.dead && a.consumes(partition));
    if (takers.length === 0) return;
    const identity = this.stream.identity;
    let atUs = this.random.between(200, 2_000);
    for (const m of this.stream.deliver(partition, this.queue.nowUs)) {
      const taker = takers.length === 1 ? takers[0]! : this.random.pick(takers);
      const us = this.reorder ? this.random.between(200, 400_000) : (atUs += 10);
      const { subject, payload, sequence, storedUs } = m;
      this.queue.after(us, () => taker.deliver(partition, identity, { subject, payload, sequence, storedUs }));
    }
  }

  /** A core message from an aggregator: at most once, to whoever listens. */
  tell(subject: string, payload: Uint8Array): void {
    if (this.busDown || this.random.chance(this.tellDrop)) return;
    const [, , kind, token] = subject.split('.');
    for (const m of this.machines) {
      if (m.token !== token || m.link.down) continue;
      this.queue.after(this.delay(m.link), () => {
        for (const agent of m.agents) agent.receive({ kind: kind as 'resync' | 'durable' | 'refused', payload });
      });
    }
  }

  /** Wall clock of the aggregators, Unix ms. */
  get aggregatorMs(): number {
    return Math.floor((this.queue.nowUs + this.aggregatorWallOffsetUs) / 1000) + 1_800_000_000_000;
  }

  /** The bus's own. */
  busMs(us: number): number {
    return Math.floor(us / 1000) + 1_800_000_000_000;
  }
}

export function flipped(payload: Uint8Array, random: Random): Uint8Array {
  const bytes = payload.slice();
  if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
  return bytes;
}
