/** cgroup: the inode number of a cgroup's directory as its path in the hierarchy, "/system.slice/cron.service". */
import { named } from './named.ts';

export const cgroup = named('cgroup');
