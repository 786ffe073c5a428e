/** A raw reflection client over a real channel: what a third-party tool does, without its cleverness. */
import { Client, credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import { serviceDefinition } from '../../services/shared/adapters/grpc-schema.ts';

export interface ReflectionReply {
  readonly messageResponse: string;
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly allExtensionNumbersResponse?: { readonly baseTypeName: string; readonly extensionNumber: readonly number[] };
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly errorResponse?: { readonly errorCode: number; readonly errorMessage: string };
}

/** Sends the questions on one stream and returns the replies in order. */
export function askReflection(
  address: string,
  version: 'v1' | 'v1alpha',
  questions: readonly object[],
): Promise<ReflectionReply[]> {
  const client = new Client(address, credentials.createInsecure());
  const method = serviceDefinition(`grpc.reflection.${version}.ServerReflection`)[
    'ServerReflectionInfo'
  ] as MethodDefinition<object, object>;
  const call: ClientDuplexStream<object, ReflectionReply> = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize as never,
  ) as never;
  return new Promise((resolve, reject) => {
    const replies: ReflectionReply[] = [];
    call.on('data', (reply: ReflectionReply) => replies.push(reply));
    call.on('error', (error) => {
      client.close();
      reject(error);
    });
    call.on('end', () => {
      client.close();
      resolve(replies);
    });
    for (const question of questions) call.write(question);
    call.end();
  });
}
