/**
 * Reflection as a third party sees it, v1 and v1alpha: a raw client walks every file, another implementation of protobuf
 * resolves every type from those bytes, and everything we declare carries a comment with an example.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createFileRegistry, create, fromBinary, type FileRegistry } from '@bufbuild/protobuf';
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type DescriptorProto,
  type EnumDescriptorProto,
  type FileDescriptorProto,
} from '@bufbuild/protobuf/wkt';
import { descriptorImage } from '../../services/shared/adapters/grpc-schema.ts';
import { indexDescriptors } from '../../services/shared/contract/descriptors.ts';
import { methodNames, serviceOf } from '../../services/shared/contract/query.ts';
import { askReflection, type ReflectionReply } from './reflection-client.ts';
import { serve, type Rig } from './rig.ts';

let rig: Rig;
before(async () => void (rig = await serve()));
after(() => rig.close());

const versions = ['v1', 'v1alpha'] as const;
const services = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
  'muster.v1.FleetService',
  'muster.v1.QueryService',
];
const filesOf = (reply: ReflectionReply): FileDescriptorProto[] =>
  reply.fileDescriptorResponse!.fileDescriptorProto.map((b) => fromBinary(FileDescriptorProtoSchema, b));
const ask = (version: 'v1' | 'v1alpha', ...questions: object[]) => askReflection(rig.address, version, questions);

/** Every file, found by walking from the services along the imports, one question at a time. */
async function walk(version: 'v1' | 'v1alpha'): Promise<Map<string, FileDescriptorProto>> {
  const [list] = await ask(version, { listServices: '' });
  const files = new Map<string, FileDescriptorProto>();
  const wanted: object[] = list!.listServicesResponse!.service.map((s) => ({ fileContainingSymbol: s.name }));
  while (wanted.length > 0) {
    const [reply] = await ask(version, wanted.shift()!);
    const [file] = filesOf(reply!);
    files.set(file!.name, file!);
    for (const name of file!.dependency) if (!files.has(name)) wanted.push({ fileByFilename: name });
  }
  const [details] = await ask(version, { fileContainingSymbol: 'google.rpc.ErrorInfo' });
  for (const file of filesOf(details!)) files.set(file.name, file);
  return files;
}

const registryOf = (files: Iterable<FileDescriptorProto>): FileRegistry =>
  createFileRegistry(create(FileDescriptorSetSchema, { file: orderByImports([...files]) }));

function orderByImports(files: FileDescriptorProto[]): FileDescriptorProto[] {
  const done = new Map<string, FileDescriptorProto>();
  const visit = (file: FileDescriptorProto | undefined): void => {
    if (!file || done.has(file.name)) return;
    for (const name of file.dependency) visit(files.find((f) => f.name === name));
    done.set(file.name, file);
  };
  files.forEach(visit);
  return [...done.values()];
}

for (const version of versions) {
  test(`${version}: lists all services, health and reflection too`, async () => {
    const [reply] = await ask(version, { listServices: '*' });
    assert.deepEqual(
      reply!.listServicesResponse!.service.map((s) => s.name),
      services,
    );
  });

  test(`${version}: every file is reached and every type resolves`, async () => {
    const files = await walk(version);
    for (const name of [
      'muster/v1/query.proto',
      'google/protobuf/timestamp.proto',
      'google/protobuf/duration.proto',
      'google/rpc/error_details.proto',
      'grpc/health/v1/health.proto',
    ]) {
      assert.ok(files.has(name), name);
    }
    const registry = registryOf(files.values());
    for (const method of methodNames) {
      const service = registry.getService(serviceOf[method]);
      assert.ok(
        service?.methods.some((m) => m.name === method),
        method,
      );
    }
    for (const type of registry)
      if (type.kind === 'message')
        assert.ok(
          type.fields.every((f) => f.message ?? f.enum ?? true),
          type.typeName,
        );
    const labels = registry.getMessage('muster.v1.QueryRow')!.fields.find((f) => f.name === 'labels')!;
    assert.equal(labels.fieldKind, 'map');
  });

  test(`${version}: one question gives a file with all it needs, each file once a stream`, async () => {
    const [first, second] = await ask(
      version,
      { fileContainingSymbol: 'muster.v1.QueryService' },
      { fileContainingSymbol: 'muster.v1.Coverage' },
    );
    registryOf(filesOf(first!));
    assert.deepEqual(
      filesOf(second!).map((f) => f.name),
      ['muster/v1/query.proto'],
    );
  });

  test(`${version}: what is not there is an error reply, and the stream goes on`, async () => {
    const replies = await ask(
      version,
      { fileContainingSymbol: 'muster.v1.Nothing' },
      { fileByFilename: 'x.proto' },
      {},
      { allExtensionNumbersOfType: 'muster.v1.QueryRow' },
      { fileContainingExtension: { containingType: 'muster.v1.QueryRow', extensionNumber: 1 } },
      { allExtensionNumbersOfType: 'x' },
      { listServices: '' },
    );
    assert.deepEqual(
      replies.map((r) => r.errorResponse?.errorCode),
      [5, 5, 3, undefined, 5, 5, undefined],
    );
    assert.match(replies[0]!.errorResponse!.errorMessage, /muster\.v1\.Nothing/);
    assert.deepEqual(replies[3]!.allExtensionNumbersResponse, {
      baseTypeName: 'muster.v1.QueryRow',
      extensionNumber: [],
    });
  });
}

test('files are served byte for byte', async () => {
  const index = indexDescriptors(descriptorImage());
  for (const file of index.files.values()) {
    const [reply] = await ask('v1', { fileByFilename: file.name });
    assert.deepEqual(
      Buffer.from(reply!.fileDescriptorResponse!.fileDescriptorProto[0]!),
      Buffer.from(file.bytes),
      file.name,
    );
  }
});

test('every symbol is found: nested types, fields, oneofs, enum values in the scope of their enum, methods', async () => {
  const symbols = [
    'muster.v1.QueryRequest',
    'muster.v1.QueryRow.LabelsEntry',
    'muster.v1.QueryRequest.metric',
    'grpc.reflection.v1.ServerReflectionRequest.message_request',
    'grpc.health.v1.HealthCheckResponse.ServingStatus',
    'grpc.health.v1.HealthCheckResponse.SERVING',
    'muster.v1.QueryService.Query',
    '.muster.v1.QueryService',
    'google.protobuf.Timestamp',
    'google.rpc.BadRequest.FieldViolation',
  ];
  const replies = await ask('v1', ...symbols.map((s) => ({ fileContainingSymbol: s })));
  symbols.forEach((s, i) => assert.equal(replies[i]!.messageResponse, 'fileDescriptorResponse', s));
  for (const name of indexDescriptors(descriptorImage()).symbols.keys()) assert.notEqual(name, '');
});

test('extensions are indexed by type and number', () => {
  // FileDescriptorSet { file { name "x.proto", extension { name "e", extendee ".a.B", number 7 } } }
  const bytes = (field: number, value: Uint8Array | string): number[] => {
    const content = typeof value === 'string' ? new TextEncoder().encode(value) : value;
    return [(field << 3) | 2, content.length, ...content];
  };
  const extension = Uint8Array.from([...bytes(1, 'e'), ...bytes(2, '.a.B'), 0x18, 7]);
  const image = Uint8Array.from(bytes(1, Uint8Array.from([...bytes(1, 'x.proto'), ...bytes(7, extension)])));
  const index = indexDescriptors(image);
  assert.equal(index.extensions.get('a.B')!.get(7)!.name, 'x.proto');
  assert.ok(index.symbols.has('e'));
  assert.throws(() => indexDescriptors(image.subarray(0, image.length - 3)), RangeError);
});

test('everything we declare has a comment with an example', async () => {
  const files = await walk('v1');
  const bare: string[] = [];
  let seen = 0;
  for (const file of files.values()) {
    if (file.name.startsWith('google/protobuf/')) continue;
    const comments = new Map(file.sourceCodeInfo!.location.map((l) => [l.path.join('.'), l.leadingComments]));
    const check = (name: string, path: readonly number[], example = true): void => {
      seen++;
      const comment = comments.get(path.join('.')) ?? '';
      if (comment.trim() === '' || (example && !/Example: /.test(comment))) bare.push(`${file.name}: ${name}`);
    };
    const checkEnum = (e: EnumDescriptorProto, path: readonly number[]): void => {
      check(e.name, path);
      e.value.forEach((v, i) => check(`${e.name}.${v.name}`, [...path, 2, i]));
    };
    const checkMessage = (m: DescriptorProto, path: readonly number[]): void => {
      if (m.options?.mapEntry) return;
      check(m.name, path);
      m.field.forEach((f, i) => check(`${m.name}.${f.name}`, [...path, 2, i]));
      // Those that protoc makes up for an optional field have no place in the source.
      m.oneofDecl.forEach((o, i) => o.name.startsWith('_') || check(`${m.name}.${o.name}`, [...path, 8, i]));
      m.nestedType.forEach((n, i) => checkMessage(n, [...path, 3, i]));
      m.enumType.forEach((n, i) => checkEnum(n, [...path, 4, i]));
    };
    file.messageType.forEach((m, i) => checkMessage(m, [4, i]));
    file.enumType.forEach((e, i) => checkEnum(e, [5, i]));
    file.service.forEach((s, i) => {
      check(s.name, [6, i]);
      s.method.forEach((m, j) => check(`${s.name}.${m.name}`, [6, i, 2, j]));
    });
  }
  assert.deepEqual(bare, []);
  assert.ok(seen > 150, `${seen} declarations`);
});
