/** The answer where there is no metric to answer for. */
import type { Fleet } from '../checkpoint/fleet.ts';
import type { MethodName, ResponseOf } from '../../shared/contract/query.ts';
import { emptyCoverage } from './coverage.ts';
import type { Prepared } from './page.ts';

export const nothingYet =
  'no host has reported a metric yet: start `muster up`, then ask again; FleetService/ListHosts shows who is there';

type Asking = Extract<MethodName, `Query${string}` | 'Contains'>;
type Same = 'coverage' | 'notes' | 'metric' | 'nextPageToken' | 'unit';

/** `empty`: what is the method's own. `note`: what to say where other metrics are counted. */
export function nothing<M extends Asking>(
  empty: Omit<ResponseOf<M>, Same>,
  fleet: Fleet,
  note = nothingYet,
): Prepared<M> {
  const others = fleet.hosts.some((h) => h.tables.size > 0);
  const same = {
    unit: '',
    metric: '',
    nextPageToken: '',
    coverage: emptyCoverage,
    notes: [others ? note : nothingYet],
  };
  return { count: 0, page: () => ({ ...same, ...empty }) as unknown as ResponseOf<M> };
}
