/**
 * The services of proto/ as grpc-js wants them. The .proto files are loaded for serving and calling; the descriptor
 * image (made with them by deploy/generate.sh) is only handed out by reflection, byte for byte: proto-loader cannot
 * load an image that holds maps.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { MusterError } from '../runtime/errors.ts';

/** The folder that holds proto/, above the sources and above dist/ alike. */
function findRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'proto/muster/v1/query.proto'))) {
    const parent = dirname(folder);
    if (parent === folder) {
      throw new MusterError('config/invalid', 'load schema: proto/muster/v1/query.proto is not above the program', {
        remedy: 'install proto/ beside dist/',
      });
    }
    folder = parent;
  }
  return folder;
}

export type ServiceName =
  | 'muster.v1.QueryService'
  | 'muster.v1.FleetService'
  | 'grpc.health.v1.Health'
  | `grpc.reflection.${'v1' | 'v1alpha'}.ServerReflection`;

let loaded: PackageDefinition | undefined;

/** int64 as strings (exact), absent message fields as null, maps and lists always there. */
export function serviceDefinition(name: ServiceName): ServiceDefinition {
  loaded ??= loadSync(
    [
      'muster/v1/query.proto',
      'grpc/health/v1/health.proto',
      'grpc/reflection/v1/reflection.proto',
      'grpc/reflection/v1alpha/reflection.proto',
    ],
    { includeDirs: [join(findRoot(), 'proto')], longs: String, enums: String, defaults: true, oneofs: true },
  );
  return loaded[name] as ServiceDefinition;
}

/** google.protobuf.FileDescriptorSet with imports and comments. */
export function descriptorImage(): Uint8Array {
  const path = join(findRoot(), 'services/shared/contract/gen/query.binpb');
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new MusterError('config/invalid', 'load schema: no descriptor image', {
      cause,
      values: { path },
      remedy: 'run deploy/generate.sh',
    });
  }
}
