/**
 * Bytes of a changed row on the wire: the agent's core over one keyframe interval, every row changing each second, values
 * spread log-uniformly over 10^3 … 10^12. Counted: payload, the message's header and subject, definitions and keyframes.
 */
import { keyMark } from '../../services/shared/contract/key-mark.ts';
import { defaultLimits } from '../../services/agent/config.ts';
import type { AgentEffect } from '../../services/agent/effects.ts';
import { schemaHash, type TableSchema } from '../../services/shared/contract/lineage.ts';
import { Rig, TestAgent, count } from '../agent/rig.ts';
import type { Figure } from './figure.ts';

const seconds = Number(defaultLimits.keyframeEveryNs / 1_000_000_000n);
const header = 'NATS/1.0\r\nNats-Msg-Id: \r\n\r\n'.length;
/** Control line of a published message: verb, reply inbox, two lengths, line ends. */
const controlLine = 'HPUB   _INBOX.0123456789012345678901.012345 100 100000\r\n\r\n'.length;

export function wireBytes(): Figure[] {
  return [300, 2000].map((rows) => ({
    figure: `wire_bytes_per_row_${rows}`,
    unit: 'bytes',
    ours: bytesPerRow(rows),
    aim: 9,
  }));
}

function bytesPerRow(rows: number): number {
  const rig = new Rig();
  const lineage = rig.attach(model(rows));
  for (let k = 0; k < rows; k++) count(lineage, k, Math.floor(10 ** (3 + (9 * k) / (rows - 1))));
  const agent = new TestAgent(rig);
  for (let s = 0; s < seconds; s++) {
    for (let k = 0; k < rows; k++) count(lineage, k, 1 + (k % 7));
    agent.run(1);
  }
  const published = agent.effects.filter((e): e is Extract<AgentEffect, { kind: 'publish' }> => e.kind === 'publish');
  const bytes = published.reduce(
    (sum, e) => sum + e.payload.length + e.id.length + e.subject.length + header + controlLine,
    0,
  );
  return bytes / (rows * seconds);
}

function model(rows: number): Parameters<Rig['attach']>[0] {
  const table: TableSchema = {
    name: 'syscalls',
    kind: 'counter',
    unit: 'calls',
    help: 'system calls entered',
    rows: rows * 2,
    hints: 4096,
    keyWords: 3,
    valueCount: 1,
    labels: [
      { name: 'syscall', meaning: 'syscall', offset: 0, size: 8 },
      { name: 'comm', meaning: 'comm', offset: 8, size: 16 },
    ],
  };
  const keys = Array.from({ length: rows }, (_, k) => ({ number: k % 300, comm: `service-${Math.floor(k / 300)}` }));
  return {
    probe: 'syscalls',
    tables: [table],
    schemaHash: schemaHash([table]).toString(16).padStart(16, '0'),
    keys: [
      {
        count: rows,
        entries: keys.map(({ number, comm }) => entry(number, comm)),
        series: keys.map(({ number, comm }) => `${number}|${comm}`),
        numbers: keys.map((_, i) => i),
      },
    ],
  };
}

function entry(number: number, comm: string): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(8, BigInt(number), true);
  new TextEncoder().encodeInto(comm, bytes.subarray(16));
  view.setBigUint64(0, keyMark(view, 8, 3), true);
  return bytes;
}
