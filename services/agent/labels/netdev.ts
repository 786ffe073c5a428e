/** netdev: the index of a network device as its name. */
import { named } from './named.ts';

export const netdev = named('netdev');
