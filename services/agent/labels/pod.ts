/** pod: from a cgroup's path the uid of the Kubernetes pod, as `kubectl` shows it; empty for what runs in none. */
import { named } from './named.ts';

/** systemd's names hold "_" where the uid has "-". */
export const podOf = (path: string): string =>
  /(?:^|[/-])pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?(?:\/|$)/
    .exec(path)?.[1]
    ?.replaceAll('_', '-') ?? '';

export const pod = named('cgroup', podOf);
