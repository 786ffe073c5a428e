/**
 * Server reflection, v1 and v1alpha (the same messages under two names): answers from the descriptor image, byte for
 * byte as protoc wrote it, comments included. Source: grpc/reflection/v1/reflection.proto.
 */
import type { Server, ServerDuplexStream } from '@grpc/grpc-js';
import { withDependencies, type DescriptorFile, type DescriptorIndex } from '../../shared/contract/descriptors.ts';
import { rpcCodes } from '../../shared/contract/rpc-status.ts';
import { serviceDefinition } from '../../shared/adapters/grpc-schema.ts';

interface ReflectionRequest {
  readonly host: string;
  readonly messageRequest?: string;
  readonly fileByFilename?: string;
  readonly fileContainingSymbol?: string;
  readonly fileContainingExtension?: { readonly containingType: string; readonly extensionNumber: number };
  readonly allExtensionNumbersOfType?: string;
  readonly listServices?: string;
}

/** The reply to one question; `sent` remembers the files that this stream has had. */
export function reflect(index: DescriptorIndex, request: ReflectionRequest, sent: Set<string>): object {
  const files = (file: DescriptorFile | undefined, what: string): object =>
    file
      ? { fileDescriptorResponse: { fileDescriptorProto: withDependencies(index, file, sent).map((f) => f.bytes) } }
      : notFound(what);
  switch (request.messageRequest) {
    case 'fileByFilename':
      return files(index.files.get(request.fileByFilename!), `file not found: ${request.fileByFilename!}`);
    case 'fileContainingSymbol': {
      const symbol = request.fileContainingSymbol!.replace(/^\./, '');
      return files(index.symbols.get(symbol), `symbol not found: ${symbol}`);
    }
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = request.fileContainingExtension!;
      return files(
        index.extensions.get(containingType)?.get(extensionNumber),
        `extension not found: ${containingType} ${extensionNumber}`,
      );
    }
    case 'allExtensionNumbersOfType': {
      const baseTypeName = request.allExtensionNumbersOfType!;
      if (!index.symbols.has(baseTypeName)) return notFound(`type not found: ${baseTypeName}`);
      return {
        allExtensionNumbersResponse: {
          baseTypeName,
          extensionNumber: [...(index.extensions.get(baseTypeName)?.keys() ?? [])],
        },
      };
    }
    case 'listServices':
      return { listServicesResponse: { service: index.services.map((name) => ({ name })) } };
    default:
      return {
        errorResponse: {
          errorCode: rpcCodes.INVALID_ARGUMENT,
          errorMessage: 'nothing asked: set one field of message_request',
        },
      };
  }
}

const notFound = (errorMessage: string): object => ({ errorResponse: { errorCode: rpcCodes.NOT_FOUND, errorMessage } });

/** Adds both versions to a server. Replies wait for a slow reader. */
export function addReflection(server: Server, index: DescriptorIndex): void {
  const serve = (call: ServerDuplexStream<ReflectionRequest, object>): void => {
    const sent = new Set<string>();
    call.on('data', (request: ReflectionRequest) => {
      const reply = { validHost: request.host, originalRequest: request, ...reflect(index, request, sent) };
      if (!call.write(reply)) {
        call.pause();
        call.once('drain', () => call.resume());
      }
    });
    call.on('end', () => call.end());
    // A client that goes away in the middle is no failure of ours.
    call.on('error', () => call.end());
  };
  for (const version of ['v1', 'v1alpha'] as const) {
    server.addService(serviceDefinition(`grpc.reflection.${version}.ServerReflection`) as never, {
      ServerReflectionInfo: serve as never,
    });
  }
}
