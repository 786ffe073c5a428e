/**
 * docs/api.md, verbatim: each grpcurl line is asked as grpcurl would, through reflection with a raw client and another
 * implementation of protobuf, and its reply is the one that stands there. MUSTER_UPDATE_DOCS=1 writes the replies.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createFileRegistry,
  create,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type FileRegistry,
  type JsonValue,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema, type FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { Client, credentials } from '@grpc/grpc-js';
import prettier from 'prettier';
import { methodNames, serviceOf, streamServiceOf } from '../../services/shared/contract/query.ts';
import { nowMs, observed, runqueue, syscalls } from './checkpoints.ts';
import { askReflection } from './reflection-client.ts';
import { serve, type Rig } from './rig.ts';
import { binaries, firstsOn, pairs, stacks } from './sketch-rows.ts';

const path = join(import.meta.dirname, '../../docs/api.md');
const example = /```sh\ngrpcurl -plaintext -d '([^']*)' \S+ (\S+)\/(\w+)\n```\n\n```json\n([^]*?)\n```/g;
const windowMs = Math.floor((nowMs - 10_000) / 10_000) * 10_000;

let rig: Rig;
/** The same web-1, with the probes of the three calls that want some of their own. */
let probed: Rig;
const ofProbed = new Set(['QueryStacks', 'QueryDistinct', 'Contains']);
before(async () => {
  [rig, probed] = await Promise.all([serve(), serve()]);
  rig.server.setServing(true);
  commitProbed();
  const rows = [
    { labels: ['read', 'nginx'], values: [5_000_000n] },
    { labels: ['write', 'cron'], values: [42n] },
  ];
  const windows = [{ startMs: windowMs, rows: [{ labels: ['read', 'nginx'], values: [400n] }] }];
  rig.port.commit([
    {
      host: 'web-1',
      labels: { role: 'web' },
      measured: {
        runs: 5000n,
        runTimeNs: 200_000n,
        periodNs: 250_000_000n,
        periodRuns: 1000n,
        periodRunTimeNs: 41_500n,
      },
      kernelBytes: 2_097_152n,
      tables: [
        { schema: syscalls, rows, windows },
        { schema: runqueue, rows: observed('nginx', [900n, 4000n, 4000n]) },
      ],
    },
    {
      host: 'db-1',
      labels: { role: 'db' },
      mergedMs: nowMs - 60_000,
      tables: [{ schema: syscalls, rows: rows.slice(1) }],
    },
  ]);
});
function commitProbed(): void {
  const counted = (stack: string, value: bigint) => ({ labels: ['nginx', stack], values: [value] });
  const now = [counted('main;serve;write;do_syscall_64_[k]', 40_816_326n), counted('main;serve', 20_408_163n)];
  const earlier = [counted('main;serve', 20_408_163n)];
  probed.port.commit([
    {
      host: 'web-1',
      tables: [
        {
          schema: stacks,
          rows: now,
          windows: [
            { startMs: windowMs, rows: now },
            { startMs: windowMs - 60_000, rows: earlier },
          ],
        },
        { schema: binaries, rows: pairs('bash', [1, 2, 3, 4, 5, 6, 7]) },
        ...firstsOn('web-1', ['/usr/bin/nc']).tables,
      ],
    },
  ]);
}
after(() => Promise.all([rig.close(), probed.close()]));

/** All files that the server describes, dependencies first. */
async function describe(services: readonly string[]): Promise<FileRegistry> {
  const questions = services.map((s) => ({ fileContainingSymbol: s }));
  const found = new Map<string, FileDescriptorProto>();
  for (const reply of await askReflection(rig.address, 'v1', questions))
    for (const bytes of reply.fileDescriptorResponse?.fileDescriptorProto ?? []) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      found.set(file.name, file);
    }
  const ordered = new Map<string, FileDescriptorProto>();
  const visit = (file: FileDescriptorProto | undefined): void => {
    if (!file || ordered.has(file.name)) return;
    for (const name of file.dependency) visit(found.get(name));
    ordered.set(file.name, file);
  };
  for (const file of found.values()) visit(file);
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...ordered.values()] }));
}

async function ask(registry: FileRegistry, service: string, name: string, json: string): Promise<JsonValue> {
  const { address } = ofProbed.has(name) ? probed : rig;
  const method = registry.getService(service)?.methods.find((m) => m.name === name);
  assert.ok(method, `${service}/${name} is not described`);
  const client = new Client(address, credentials.createInsecure());
  const bytes = Buffer.from(
    toBinary(method.input, fromJson(method.input, JSON.parse(json) as JsonValue, { registry })),
  );
  const url = `/${service}/${name}`;
  const as = (b: Buffer): Buffer => b;
  const reply = await new Promise<Buffer>((resolve, reject) => {
    if (method.methodKind === 'unary')
      return client.makeUnaryRequest(url, as, as, bytes, (error, value) => (error ? reject(error) : resolve(value!)));
    const call = client.makeServerStreamRequest(url, as, as, bytes);
    call.once('data', (value: Buffer) => (resolve(value), call.cancel()));
    call.on('error', reject);
  });
  client.close();
  return toJson(method.output, fromBinary(method.output, reply), { registry });
}

/** A page token names the request with all its fields, those added later too. */
const withoutToken = (reply: JsonValue): JsonValue => ({ ...(reply as object), nextPageToken: '' });

test('every example of docs/api.md gives its reply', async () => {
  const text = readFileSync(path, 'utf8');
  const examples = [...text.matchAll(example)];
  const registry = await describe([...new Set(examples.map((e) => e[2]!))]);
  const shown = new Set(examples.map((e) => `${e[2]}/${e[3]}`));
  for (const m of methodNames) assert.ok(shown.has(`${serviceOf[m]}/${m}`), `${m} has no example`);
  assert.ok(shown.has(`${streamServiceOf.Watch}/Watch`));
  let updated = text;
  for (const [whole, json, service, name, written] of examples) {
    const reply = await ask(registry, service!, name!, json!);
    if (process.env['MUSTER_UPDATE_DOCS'] === '1') {
      const start = whole.slice(0, whole.lastIndexOf(written!));
      updated = updated.replace(whole, () => `${start}${JSON.stringify(reply, null, 2)}\n\`\`\``);
    } else
      assert.deepEqual(
        withoutToken(reply),
        withoutToken(JSON.parse(written!) as JsonValue),
        `${service}/${name}: write docs/api.md anew with MUSTER_UPDATE_DOCS=1`,
      );
  }
  if (updated !== text) writeFileSync(path, await prettier.format(updated, { parser: 'markdown' }));
});
