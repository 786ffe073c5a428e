/** Configuration of the own nats-server and redis-server. Paths are relative: each runs in its own folder. */

export interface ServerPorts {
  readonly nats: number;
  readonly redis: number;
}

/**
 * JetStream in a file store. The bus is only a passage (what is acknowledged is deleted), so it needs no more than
 * its share of the disk, which nats-server bounds itself.
 */
export const natsConfig = (port: number): string => `# written by muster up; changes are lost
server_name: muster
listen: "127.0.0.1:${port}"
max_payload: 2MB
jetstream {
  store_dir: "store"
}
`;

/**
 * The store is durable before it answers and never evicts: a checkpoint that Redis confirmed is the only copy of
 * acknowledged counts. It speaks to this machine alone.
 */
export const redisConfig = (port: number): string => `# written by muster up; changes are lost
bind 127.0.0.1
protected-mode yes
port ${port}
daemonize no
dir ./
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
`;
