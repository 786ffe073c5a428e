/** What a verb of the command line is: data that main.ts turns into flags, one call, and a table. */
import type { MethodName, RequestOf, ResponseOf } from '../../shared/contract/query.ts';
import type { Table } from './table.ts';

export interface OptionSpec {
  /** As commander reads it: "-o, --output <format>". */
  readonly flag: string;
  readonly help: string;
  readonly fallback?: string;
  /** May be given many times. */
  readonly repeat?: boolean;
}

/** An answer as a file of some kind. */
export interface DocumentFormat<M extends MethodName = MethodName> {
  readonly name: string;
  write(answer: ResponseOf<M>): string | Uint8Array;
}

/** A verb that is one call of the API and shows the answer. */
export interface DataVerb<M extends MethodName = MethodName> {
  readonly name: string;
  readonly method: M;
  readonly options: readonly OptionSpec[];
  /** Words after the verb, e.g. "[metric]". */
  readonly operands: readonly string[];
  readonly examples: readonly [string, string];
  /** Throws MusterError config/invalid for options that make no question. */
  plan(operands: readonly string[], options: Readonly<Record<string, unknown>>): Partial<RequestOf<M>>;
  /** `width` is the terminal's, for pictures; labels stay whole. */
  table(answer: ResponseOf<M>, width: number): Table;
  /** Formats of the verb's own, which come before the others. */
  readonly documents?: readonly DocumentFormat<M>[];
}
