/** The largest groups of a metric, all pages: node --import tsx top.ts ADDRESS METRIC LABEL. How it is generated: README.md. */
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { QueryRequest, QueryServiceClient, type QueryResponse } from './muster/v1/query.ts';

const [address = '', metric = '', label = ''] = process.argv.slice(2);
const client = new QueryServiceClient(address, credentials.createInsecure());
const query = (request: QueryRequest): Promise<QueryResponse> =>
  new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + 10_000 };
    client.query(request, options, (error: ServiceError | null, reply) => (error ? reject(error) : resolve(reply)));
  });

try {
  const asked = { metric, groupBy: [label], range: 'all', pageSize: 100 };
  for (let pageToken = ''; ;) {
    const { rows, unit, total, residual, coverage, nextPageToken } = await query(
      QueryRequest.fromPartial({ ...asked, pageToken }),
    );
    for (const row of rows) console.log(`${row.labels[label]} ${row.value} ${unit}`);
    pageToken = nextPageToken;
    if (pageToken !== '') continue;
    console.log(`total ${total} not shown ${residual} ${coverage?.exact ? 'exact' : 'not exact'}`);
    break;
  }
} catch (error) {
  // The message says how to put it right.
  console.error((error as ServiceError).message);
  process.exitCode = 1;
} finally {
  client.close();
}
