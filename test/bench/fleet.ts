/** A fleet of synthetic hosts, beside Prometheus on the same kind of series in the same run; and how cost grows with hosts. */
import type { Figure } from './figure.ts';
import { measureFleet } from './fleet/ours.ts';
import { measurePeer } from './fleet/prometheus.ts';

const rows = 1000;
/** Prometheus is given what it can take on this machine together with what feeds it. */
const peerHosts = 100;

export async function fleet({ seconds }: { readonly seconds: number }): Promise<Figure[]> {
  const note = (text: string): void => void process.stderr.write(`fleet: ${text}\n`);
  const figures: Figure[] = [];
  for (const hosts of [10, 100]) {
    note(`${hosts} hosts of ${rows} rows each second`);
    const run = await measureFleet({ hosts, rows, seconds });
    figures.push(
      { figure: `rows_per_cpu_second_${hosts}`, unit: 'rows', ours: run.rowsPerCpuSecond },
      { figure: `bytes_per_series_${hosts}`, unit: 'bytes', ours: run.bytesPerSeries },
      { figure: `recovery_seconds_${hosts}`, unit: 's', ours: run.recoverySeconds },
    );
  }
  note(`Prometheus: ${peerHosts} hosts of ${rows} series every two seconds`);
  const peer = await measurePeer({ hosts: peerHosts, rows, seconds });
  note(`1000 hosts of ${rows} rows each second`);
  const run = await measureFleet({ hosts: 1000, rows, seconds });
  const beside = (value: number): { peer: number; peerName: string } => ({ peer: value, peerName: peer.name });
  const perRow = (cpuSeconds: number): number => (cpuSeconds / run.rows) * 1e9;
  return [
    {
      figure: 'rows_per_cpu_second',
      unit: 'rows',
      ours: run.rowsPerCpuSecond,
      ...beside(Math.max(peer.scrapedPerCpuSecond, peer.receivedPerCpuSecond)),
    },
    { figure: 'bytes_per_series', unit: 'bytes', ours: run.bytesPerSeries, ...beside(peer.bytesPerSeries) },
    { figure: 'wire_bytes_per_row', unit: 'bytes', ours: run.wireBytesPerRow, ...beside(peer.wireBytesPerSample) },
    { figure: 'recovery_seconds', unit: 's', ours: run.recoverySeconds, ...beside(peer.recoverySeconds) },
    { figure: 'nats_ns_per_row', unit: 'ns', ours: perRow(run.cpu.nats) },
    { figure: 'redis_ns_per_row', unit: 'ns', ours: perRow(run.cpu.redis) },
    { figure: 'aggregator_ns_per_row', unit: 'ns', ours: perRow(run.cpu.aggregator) },
    ...figures,
  ];
}
