/**
 * `muster bus-user`: users of the bus for deploy/nats/nats-server.conf, each allowed what its role needs and nothing
 * else. A host's agent speaks on its own subject and hears what is meant for it: it cannot speak for another host.
 */
import {
  batchSubject,
  durableSubject,
  encodeHost,
  refusedSubject,
  resyncSubject,
  streamName,
} from '../../shared/contract/subjects.ts';
import type { OptionSpec } from '../output/verb.ts';

export const busUserOptions: readonly OptionSpec[] = [
  { flag: '--aggregator', help: 'the aggregators’ user too' },
  { flag: '--password-file <file>', help: 'its password, or its bcrypt hash (default: a random one for each user)' },
];
export const busUserExamples: readonly [string, string] = [
  'muster bus-user --aggregator web-1 web-2 >users.conf',
  'muster bus-user web-3 --password-file web-3.password',
];

interface BusUser {
  readonly user: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

export const agentUser = (host: string): BusUser => ({
  user: `agent-${encodeHost(host)}`,
  publish: [batchSubject(host)],
  subscribe: [resyncSubject(host), durableSubject(host), refusedSubject(host), `_INBOX.${encodeHost(host)}.>`],
});

/** Makes the stream and its consumers, pulls, acknowledges, and tells agents. */
export const aggregatorUser: BusUser = {
  user: 'muster-aggregator',
  publish: [
    '$JS.API.INFO',
    `$JS.API.STREAM.*.${streamName}`,
    `$JS.API.CONSUMER.*.${streamName}`,
    `$JS.API.CONSUMER.*.${streamName}.>`,
    `$JS.API.CONSUMER.DURABLE.CREATE.${streamName}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${streamName}.*`,
    `$JS.ACK.${streamName}.>`,
    'muster.v1.resync.*',
    'muster.v1.durable.*',
    'muster.v1.refused.*',
  ],
  subscribe: ['_INBOX.muster-aggregator.>'],
};

const list = (subjects: readonly string[]): string => `[${subjects.map((s) => JSON.stringify(s)).join(', ')}]`;

/** One entry of `users = [ … ]`. */
export const renderUser = ({ user, publish, subscribe }: BusUser, password: string): string => `  {
    user: ${JSON.stringify(user)}
    password: ${JSON.stringify(password)}
    permissions: {
      publish: { allow: ${list(publish)} }
      subscribe: { allow: ${list(subscribe)} }
    }
  }
`;

/** `password` gives one for each user. Throws nothing: any text is a host's name. */
export function usersFile(hosts: readonly string[], aggregator: boolean, password: () => string): string {
  const users = [...(aggregator ? [aggregatorUser] : []), ...hosts.map(agentUser)];
  return `users = [\n${users.map((u) => renderUser(u, password())).join('')}]\n`;
}
