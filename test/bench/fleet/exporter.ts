/** The synthetic fleet's rows as a Prometheus target would expose them: one page a host, every value changing. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createKernelTable, countInterval, operationOf, serviceOf } from '../../../services/synth/fleet/table.ts';

export async function startExporter(hosts: number, rows: number): Promise<{ port: number; close(): void }> {
  const tables = Array.from({ length: hosts }, (_, host) => createKernelTable(rows, rows, true, host));
  const names = Array.from(
    { length: rows },
    (_, key) => `synthetic_events_total{service="${serviceOf(key)}",operation="${operationOf(key)}"} `,
  );
  const server: Server = createServer((request, response) => {
    const host = Number(/host=synth-(\d+)/.exec(request.url ?? '')?.[1] ?? 0);
    const table = tables[host]!;
    countInterval(table, host);
    let page = '# TYPE synthetic_events_total counter\n';
    for (let row = 0; row < rows; row++) page += `${names[row]!}${table.values[row + 1]!}\n`;
    response.setHeader('content-type', 'text/plain; version=0.0.4');
    response.end(page);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}
