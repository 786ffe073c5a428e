/** The grpcurl line that asks the same: what `--show-rpc` prints and what a person copies. */
import { protoJson } from '../../shared/contract/proto-json.ts';
import { serviceOf, streamServiceOf, type MethodName, type StreamName } from '../../shared/contract/query.ts';

/** Paths of what a caller shows and trusts; all absent: clear text, without credentials. */
export interface ConnectionFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly tokenFile?: string | undefined;
}

/** In single quotes for a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export function grpcurlLine(
  server: string,
  method: MethodName | StreamName,
  request: object,
  files: ConnectionFiles = {},
): string {
  const { ca, cert, key, tokenFile } = files;
  const flag = (name: string, value: string | undefined): string[] =>
    value === undefined ? [] : [`-${name} ${quoted(value)}`];
  const secured = ca !== undefined || cert !== undefined;
  return [
    'grpcurl',
    ...(secured ? [...flag('cacert', ca), ...flag('cert', cert), ...flag('key', key)] : ['-plaintext']),
    // The token itself stays in its file.
    ...(tokenFile === undefined ? [] : [`-H "authorization: Bearer $(cat ${quoted(tokenFile)})"`]),
    `-d ${quoted(JSON.stringify(protoJson(request)))}`,
    server,
    `${{ ...serviceOf, ...streamServiceOf }[method]}/${method}`,
  ].join(' ');
}
