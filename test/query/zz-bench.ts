import { FleetReader } from '../../services/query/fleet-reader.ts';
import { Query, finish } from '../../services/query/query.ts';
import { nowMs, syscalls } from './checkpoints.ts';
import { FakeReader } from './fake-reader.ts';
const port = new FakeReader();
const w = Math.floor((nowMs - 10_000) / 10_000) * 10_000;
const hosts = Number(process.argv[2]);
for (let h = 0; h < hosts; h++) {
  const rows = Array.from({ length: 1000 }, (_, i) => ({ labels: [`call${i % 50}`, `comm${Math.floor(i / 50)}`], values: [BigInt(i * 1000 + h + 1)] }));
  port.commit([{ host: `host-${h}`, labels: { role: h % 2 ? 'web' : 'db' }, tables: [{ schema: syscalls, rows, windows: [0,1,2,3,4,5].map((i) => ({ startMs: w - i * 10000, rows })) }] }]);
}
console.log('made', process.memoryUsage().rss >> 20);
let now = nowMs;
const reader = new FleetReader(port, () => now);
const core = new Query();
for (const r of [{}, {}, { range: 'all', groupBy: ['comm'] }, { range: 'all', groupBy: ['comm'] }, { range: 'all', groupBy: ['comm'] }, { groupBy: ['comm'], selector: 'role="web"' }, { groupBy: ['host'] }]) {
  now += 1000;
  const asked = { metric: '', selector: '', groupBy: [], range: '', startTime: undefined, endTime: undefined, orderBy: '', pageSize: 0, pageToken: '', ...r } as never;
  const t0 = performance.now();
  const hostsFleet = await reader.load(() => false);
  const need = core.needOf('Query', asked, hostsFleet, nowMs);
  const fleet = await reader.load(need);
  const t1 = performance.now();
  const a = finish(core.answer('Query', asked, fleet, nowMs));
  const t2 = performance.now();
  console.log(JSON.stringify(r), 'load', (t1 - t0).toFixed(1), 'answer', (t2 - t1).toFixed(1), a.total, a.rows.length, process.memoryUsage().rss >> 20);
}
