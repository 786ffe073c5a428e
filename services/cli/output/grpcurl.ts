/** The grpcurl line that asks the same: what `--show-rpc` prints and what a person copies. */
import type { Call } from './verb.ts';

/** In single quotes for a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export function grpcurlLine(server: string, call: Call): string {
  return `grpcurl -plaintext -d ${quoted(JSON.stringify(call.request))} ${server} muster.v1.${call.service}/${call.method}`;
}
