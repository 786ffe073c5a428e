/**
 * The peer: Prometheus on the same series. One process scrapes; a second scrapes and sends on by remote-write; a third
 * receives that. CPU and memory are those of the scraper and of the receiver, whichever does better.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answers, freePort, pause, until } from '../../contract/servers.ts';
import { startExporter } from './exporter.ts';
import { cpuSeconds, residentBytes, type Server } from './rig.ts';

export interface PeerRun {
  readonly name: string;
  readonly scrapedPerCpuSecond: number;
  readonly receivedPerCpuSecond: number;
  readonly bytesPerSeries: number;
  readonly wireBytesPerSample: number;
  readonly recoverySeconds: number;
}

export interface Prometheus extends Server {
  /** Starts it again on the same data after kill(). */
  again(): Promise<Prometheus>;
}

/** Installs the Debian package where it is missing. */
export function setUpPeer(): string {
  execFileSync('bash', [join(import.meta.dirname, '../../../deploy/packages.sh'), 'prometheus'], { stdio: 'inherit' });
  const version = execFileSync('prometheus', ['--version'], { encoding: 'utf8' });
  return `prometheus ${/version (\d+\.\d+\.\d+)/.exec(version)?.[1] ?? ''}`;
}

export interface Scrape {
  readonly exporter: number;
  readonly hosts: number;
  readonly everySeconds: number;
}

const config = (scrape: Scrape | undefined, sendTo: number | undefined): string => `
global: { scrape_interval: ${scrape?.everySeconds ?? 60}s, scrape_timeout: ${scrape?.everySeconds ?? 10}s }
${
  scrape
    ? `scrape_configs:
  - job_name: synthetic
    static_configs: [{ targets: [${Array.from({ length: scrape.hosts }, (_, h) => `synth-${h}`).join(', ')}] }]
    relabel_configs:
      - { source_labels: [__address__], target_label: __param_host }
      - { source_labels: [__address__], target_label: instance }
      - { target_label: __address__, replacement: '127.0.0.1:${scrape.exporter}' }`
    : ''
}
${sendTo ? `remote_write: [{ url: 'http://127.0.0.1:${sendTo}/api/v1/write' }]` : ''}
`;

export async function startPrometheus(
  parent: string,
  name: string,
  scrape: Scrape | undefined,
  sendTo?: number,
): Promise<Prometheus> {
  const folder = join(parent, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'prometheus.yml'), config(scrape, sendTo));
  return run(folder, await freePort());
}

async function run(folder: string, port: number): Promise<Prometheus> {
  const words = ['--config.file=prometheus.yml', '--storage.tsdb.path=data', '--web.enable-remote-write-receiver'];
  const child = spawn('prometheus', [...words, `--web.listen-address=127.0.0.1:${port}`], {
    cwd: folder,
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await until(() => answers(port), 20_000);
  await until(() => isReady(port), 60_000);
  return {
    pid: child.pid!,
    port,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    again: () => run(folder, port),
  };
}

const isReady = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/-/ready`).then(
    (r) => r.ok,
    () => false,
  );

/** A value of Prometheus' own metrics, summed over its series. */
async function own(port: number, metric: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const values = [...page.matchAll(new RegExp(`^${metric}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map((m) => Number(m[1]));
  return values.reduce((a, b) => a + b, 0);
}

const appended = (p: Prometheus): Promise<number> => own(p.port, 'prometheus_tsdb_head_samples_appended_total');

export async function measurePeer(size: { hosts: number; rows: number; seconds: number }): Promise<PeerRun> {
  const name = setUpPeer();
  const folder = mkdtempSync(join(tmpdir(), 'muster-peer-'));
  const exporter = await startExporter(size.hosts, size.rows);
  const scrape = { exporter: exporter.port, hosts: size.hosts, everySeconds: 2 };
  const running: Prometheus[] = [];
  const keep = async (p: Promise<Prometheus>): Promise<Prometheus> => {
    running.push(await p);
    return running.at(-1)!;
  };
  try {
    const receiver = await keep(startPrometheus(folder, 'receiver', undefined));
    const emptyBytes = residentBytes(receiver.pid);
    const scraper = await keep(startPrometheus(folder, 'scraper', scrape));
    const sender = await keep(startPrometheus(folder, 'sender', scrape, receiver.port));
    await pause(12_000);
    const look = async (): Promise<number[]> => [
      await appended(scraper),
      cpuSeconds(scraper.pid),
      await appended(receiver),
      cpuSeconds(receiver.pid),
      await own(sender.port, 'prometheus_remote_storage_bytes_total'),
      await own(sender.port, 'prometheus_remote_storage_samples_total'),
    ];
    const before = await look();
    await pause(size.seconds * 1000);
    const after = await look();
    const rise = after.map((value, i) => value - before[i]!) as [number, number, number, number, number, number];
    const series = await own(scraper.port, 'prometheus_tsdb_head_series');
    const bytesPerSeries = (residentBytes(scraper.pid) - emptyBytes) / series;
    await scraper.kill();
    const killed = performance.now();
    await keep(scraper.again());
    return {
      name,
      scrapedPerCpuSecond: rise[0] / rise[1],
      receivedPerCpuSecond: rise[2] / rise[3],
      bytesPerSeries,
      wireBytesPerSample: rise[4] / rise[5],
      recoverySeconds: (performance.now() - killed) / 1000,
    };
  } finally {
    await Promise.all(running.map((p) => p.kill()));
    exporter.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
