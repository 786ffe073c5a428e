/** The processes of `muster up`, what each needs before it may start, and the order in which they stop. */
export const roleNames = ['nats', 'redis', 'keeper', 'agent', 'synth', 'aggregator', 'query'] as const;
export type RoleName = (typeof roleNames)[number];

export interface RolePlan {
  readonly name: RoleName;
  /** Started once all of these have been ready. */
  readonly needs: readonly RoleName[];
  /** How long a clean stop may take before the process is killed. */
  readonly stopMs: number;
}

const plans: Readonly<Record<RoleName, RolePlan>> = {
  nats: { name: 'nats', needs: [], stopMs: 10_000 },
  redis: { name: 'redis', needs: [], stopMs: 10_000 },
  keeper: { name: 'keeper', needs: [], stopMs: 10_000 },
  // The aggregator makes the stream. To stop: the final read, its publication and the confirmation.
  agent: { name: 'agent', needs: ['nats', 'keeper', 'aggregator'], stopMs: 10_000 },
  synth: { name: 'synth', needs: ['nats', 'aggregator'], stopMs: 10_000 },
  // Drains what is in the stream and writes the final checkpoint.
  aggregator: { name: 'aggregator', needs: ['nats', 'redis'], stopMs: 15_000 },
  query: { name: 'query', needs: ['redis'], stopMs: 5_000 },
};

/** The roles of one instance: own servers only where no address was given; a generator instead of a kernel's readers. */
export function planRoles(own: {
  readonly nats: boolean;
  readonly redis: boolean;
  readonly synthetic?: boolean;
}): RolePlan[] {
  const synthetic = own.synthetic === true;
  const absent = { nats: !own.nats, redis: !own.redis, keeper: synthetic, agent: synthetic, synth: !synthetic };
  const present = (name: RoleName): boolean => absent[name as keyof typeof absent] !== true;
  return roleNames.filter(present).map((name) => ({ ...plans[name], needs: plans[name].needs.filter(present) }));
}

/** Against the flow of a count, each part after all that feed it: what was counted is read, sent and merged before. */
export const stopOrder: readonly RoleName[] = ['agent', 'synth', 'aggregator', 'query', 'keeper', 'redis', 'nats'];
