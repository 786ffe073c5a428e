/** What `muster up` tells a person once everything runs. */
import type { QueryRequest, QueryResponse } from '../../shared/contract/query.ts';
import { grpcurlLine, type ConnectionFiles } from '../output/grpcurl.ts';
import type { Table } from '../output/table.ts';
import { topTable } from './top.ts';

export const upExamples: readonly [string, string] = [
  'muster up',
  'muster up --state-dir ./state --listen 127.0.0.1:50200 --label role=web,zone=a',
];

/** The first question: the default metric's largest rows of the last minute. */
export const firstQuestion: Partial<QueryRequest> = { pageSize: 10 };

/** Its answer without the remarks, which belong to a caller who asked. */
export const firstTable = (answer: QueryResponse): Table => topTable({ ...answer, notes: [] });

/** `wanted`: names of what a caller needs, to be put in by the person. */
export const copyLine = (listen: string, wanted: ConnectionFiles): string => grpcurlLine(listen, 'Query', {}, wanted);
