/**
 * Questions by chance (a label to group by, a selector, a range) over a fleet of 1,000 hosts of 1,000 rows that all change
 * each second, while it publishes; and the empty question. Beside Prometheus, asked the same over as many series as it can
 * take on this machine.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectQuery } from '../../services/shared/adapters/grpc-client.ts';
import { pause } from '../contract/servers.ts';
import type { Figure } from './figure.ts';
import { startExporter } from './fleet/exporter.ts';
import { startFleet } from './fleet/ours.ts';
import { startRole } from './fleet/rig.ts';
import { setUpPeer, startPrometheus } from './fleet/prometheus.ts';

/** Fewer by MUSTER_BENCH_HOSTS, for trying the benchmark itself. */
const hosts = Number(process.env['MUSTER_BENCH_HOSTS'] ?? 1000);
const rows = 1000;
/** Prometheus is asked over a fifth of the series. */
const peerHosts = 200;
const warmSeconds = 25;
const pauseMs = 100;

/** Answers before the figures: code that has just started is slow. */
const rehearsals = 30;

const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))]!;

interface Question {
  readonly groupBy: string;
  readonly selector: string;
  readonly range: string;
}

/** The same questions for both, by a generator that starts the same each time. */
function* questions(): Generator<Question> {
  let n = 1;
  const pick = <T>(of: readonly T[]): T => {
    n = (Math.imul(n, 1664525) + 1013904223) >>> 0;
    return of[Math.floor((n / 2 ** 32) * of.length)]!;
  };
  const digit = (): number => pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (;;) {
    const selector = pick([
      '',
      `service="service-${digit()}${digit()}"`,
      `service=~"service-${digit()}.*"`,
      `operation!="op-${digit()}"`,
      `host=~".*${digit()}"`,
    ]);
    yield { groupBy: pick(['service', 'operation', 'host']), selector, range: pick(['30s', '1m', '2m', '5m', 'all']) };
  }
}

/** As Prometheus is asked. */
function promql({ groupBy, selector, range }: Question): string {
  const named = (label: string): string => label.replace('host', 'instance');
  const series = `synthetic_events_total{${named(selector)}}`;
  const counted = range === 'all' ? series : `increase(${series}[${range}])`;
  return `topk(100, sum by (${named(groupBy)}) (${counted}))`;
}

async function timed(seconds: number, ask: () => Promise<unknown>): Promise<number[]> {
  const took: number[] = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end || took.length < 20;) {
    const began = performance.now();
    await ask();
    took.push(performance.now() - began);
    await pause(pauseMs);
  }
  return took;
}

export async function query({ seconds }: { readonly seconds: number }): Promise<Figure[]> {
  const ours = await measureOurs(seconds);
  const peer = await measurePeer(seconds);
  const beside = (q: number): Partial<Figure> => ({ peer: quantile(peer.took, q), peerName: peer.name, most: 0.1 });
  return [
    { figure: 'group_by_label_p50', unit: 'ms', ours: quantile(ours.grouped, 0.5), aim: 20, ...beside(0.5) },
    { figure: 'group_by_label_p99', unit: 'ms', ours: quantile(ours.grouped, 0.99), aim: 60, ...beside(0.99) },
    { figure: 'empty_question_p50', unit: 'ms', ours: quantile(ours.empty, 0.5) },
    { figure: 'empty_question_p99', unit: 'ms', ours: quantile(ours.empty, 0.99), aim: 60 },
    { figure: 'first_question', unit: 'ms', ours: ours.first },
  ];
}

async function measureOurs(seconds: number): Promise<{ first: number; grouped: number[]; empty: number[] }> {
  const fleet = await startFleet();
  try {
    await fleet.aggregate();
    await fleet.synth(hosts, rows);
    await pause(warmSeconds * 1000);
    const role = await startRole(
      'query',
      ['--redis', fleet.redis, '--listen', '127.0.0.1:0', '--log-level', 'warn'],
      true,
    );
    fleet.roles.push(role);
    const client = connectQuery((role.ready['listen'] as string[])[0]!);
    const asked = questions();
    const ask = (): Promise<unknown> => {
      const { groupBy, selector, range } = asked.next().value as Question;
      return client.call(
        'Query',
        { metric: 'synthetic', groupBy: [groupBy], selector, range, pageSize: 100 },
        { deadlineMs: 60_000 },
      );
    };
    try {
      const began = performance.now();
      await ask();
      const first = performance.now() - began;
      for (let n = 0; n < rehearsals; n++) await ask();
      const grouped = await timed(seconds, ask);
      return {
        first,
        grouped,
        empty: await timed(seconds / 2, () => client.call('Query', {}, { deadlineMs: 60_000 })),
      };
    } finally {
      client.close();
    }
  } finally {
    await fleet.end();
  }
}

async function measurePeer(seconds: number): Promise<{ name: string; took: number[] }> {
  const name = setUpPeer();
  const folder = mkdtempSync(join(tmpdir(), 'muster-peer-'));
  const exporter = await startExporter(peerHosts, rows);
  const prometheus = await startPrometheus(folder, 'asked', {
    exporter: exporter.port,
    hosts: peerHosts,
    everySeconds: 10,
  });
  try {
    await pause(warmSeconds * 1000);
    const asked = questions();
    const ask = async (): Promise<void> => {
      const expression = encodeURIComponent(promql(asked.next().value as Question));
      const answer = await fetch(`http://127.0.0.1:${prometheus.port}/api/v1/query?query=${expression}`);
      if (!answer.ok) throw new Error(`prometheus answers ${answer.status}`);
      await answer.arrayBuffer();
    };
    await ask();
    return { name: `${name}, ${peerHosts * rows} series`, took: await timed(seconds, ask) };
  } finally {
    await prometheus.kill();
    exporter.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
