/**
 * One question over a fleet of 1,000 hosts of 1,000 rows that all change each second: group by one label, the last
 * five minutes, lifetime, and a label of one value. Beside Prometheus with as many series as it is given.
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

const hosts = 1000;
const rows = 1000;
/** Prometheus is asked over a fifth of the series. */
const peerHosts = 200;
const warmSeconds = 25;
const pauseMs = 100;

const quantile = (values: number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))]!;

async function timed(seconds: number, ask: () => Promise<unknown>): Promise<number[]> {
  const took: number[] = [];
  await ask();
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
  const beside = (q: number): { peer: number; peerName: string } => ({
    peer: quantile(peer.took, q),
    peerName: peer.name,
  });
  return [
    { figure: 'group_by_label_p50', unit: 'ms', ours: quantile(ours.range, 0.5), aim: 20, ...beside(0.5) },
    { figure: 'group_by_label_p99', unit: 'ms', ours: quantile(ours.range, 0.99), aim: 60, ...beside(0.99) },
    { figure: 'group_by_label_lifetime_p50', unit: 'ms', ours: quantile(ours.lifetime, 0.5) },
    { figure: 'group_by_label_lifetime_p99', unit: 'ms', ours: quantile(ours.lifetime, 0.99) },
  ];
}

async function measureOurs(seconds: number): Promise<{ range: number[]; lifetime: number[] }> {
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
    const ask = (range: string) => () =>
      client.call('Query', { metric: 'synthetic', groupBy: ['service'], range, pageSize: 100 }, { deadlineMs: 60_000 });
    try {
      return { range: await timed(seconds, ask('1m')), lifetime: await timed(seconds, ask('all')) };
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
    const expression = encodeURIComponent('topk(100, sum by (service) (increase(synthetic_events_total[1m])))');
    const ask = async (): Promise<void> => {
      const answer = await fetch(`http://127.0.0.1:${prometheus.port}/api/v1/query?query=${expression}`);
      if (!answer.ok) throw new Error(`prometheus answers ${answer.status}`);
      await answer.arrayBuffer();
    };
    return { name: `${name}, ${peerHosts * rows} series`, took: await timed(seconds, ask) };
  } finally {
    await prometheus.kill();
    exporter.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
