/** How the command line reaches the query service: what it trusts and shows, read from the files that flags name. */
import type { ClientSecurity } from '../../shared/adapters/grpc-client.ts';
import { readNamedFile } from '../../shared/adapters/named-file.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { ConnectionFiles } from '../output/grpcurl.ts';
import type { OptionSpec } from '../output/verb.ts';

export const connectionOptions: readonly OptionSpec[] = [
  { flag: '--server <address>', help: 'query service, HOST:PORT or unix:PATH', fallback: '127.0.0.1:50151' },
  { flag: '--ca <file>', help: "CA of the server's certificate in PEM: use TLS" },
  { flag: '--cert <file>', help: 'own certificate in PEM, where the server wants one' },
  { flag: '--key <file>', help: 'key of the own certificate' },
  { flag: '--token-file <file>', help: 'file with the bearer token' },
];

export const connectionFiles = (options: Readonly<Record<string, unknown>>): ConnectionFiles => options;

/** Throws MusterError config/invalid that names the file. */
export function clientSecurity({ ca, cert, key, tokenFile }: ConnectionFiles): ClientSecurity {
  if ((cert === undefined) !== (key === undefined))
    throw new MusterError('config/invalid', 'use a client certificate: it and its key go together', {
      remedy: 'give both --cert and --key',
    });
  return {
    ...(ca === undefined ? {} : { ca: read('--ca', ca) }),
    ...(cert === undefined || key === undefined ? {} : { cert: read('--cert', cert), key: read('--key', key) }),
    ...(tokenFile === undefined ? {} : { token: read('--token-file', tokenFile).toString().trim() }),
  };
}

const read = (flag: string, path: string): Buffer => readNamedFile(`${flag} ${path}`, path);
