/** The grpcurl line that asks the same: what `--show-rpc` prints and what a person copies. */
import { protoJson } from '../../shared/contract/proto-json.ts';
import { serviceOf, type MethodName } from '../../shared/contract/query.ts';

/** In single quotes for a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export function grpcurlLine(server: string, method: MethodName, request: object): string {
  return `grpcurl -plaintext -d ${quoted(JSON.stringify(protoJson(request)))} ${server} ${serviceOf[method]}/${method}`;
}
