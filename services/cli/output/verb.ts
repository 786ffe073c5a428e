/** What a verb of the command line is: data that main.ts turns into flags, one call, and a table. */
import type { Table } from './table.ts';

export interface OptionSpec {
  /** As commander reads it: "-o, --output <format>". */
  readonly flag: string;
  readonly help: string;
  readonly fallback?: string;
  /** May be given many times. */
  readonly repeat?: boolean;
}

/** One unary call of the API; the request in proto3 JSON with the names of the .proto file. */
export interface Call {
  readonly service: 'QueryService' | 'FleetService';
  readonly method: string;
  readonly request: Readonly<Record<string, unknown>>;
}

/** A reply in proto3 JSON: what the server left unset may be absent. */
export type Answer = Readonly<Record<string, unknown>>;

export interface DataVerb {
  readonly name: string;
  readonly options: readonly OptionSpec[];
  /** Words after the verb, e.g. "[metric]". */
  readonly operands: readonly string[];
  readonly examples: readonly [string, string];
  /** Throws MusterError config/invalid for options that make no question. */
  plan(operands: readonly string[], options: Readonly<Record<string, unknown>>): Call;
  /** `width` is the terminal's, for pictures; labels stay whole. */
  table(answer: Answer, width: number): Table;
}
