/** The ports CheckpointStore and CheckpointReader on the simulation's store, for what runs in real time. */
import type { CheckpointReader, CheckpointStore } from '../../services/shared/runtime/ports/checkpoint-store.ts';
import { SimStore } from './store.ts';

export function createFakeCheckpointStore(sim = new SimStore()): CheckpointStore & { readonly sim: SimStore } {
  return {
    sim,
    verify: () => Promise.resolve(),
    load: (partition, wanted = () => true) => Promise.resolve(sim.load(partition, wanted)),
    commit: (request) => Promise.resolve(sim.commit(request)),
    close: () => Promise.resolve(),
  };
}

export function createFakeCheckpointReader(sim: SimStore): CheckpointReader {
  return {
    heads: (partitions) =>
      Promise.resolve(
        new Map(
          partitions.flatMap((p) => {
            const head = sim.head(p);
            return head ? [[p, head] as const] : [];
          }),
        ),
      ),
    view: (partition) => Promise.resolve(sim.view(partition)),
    blobs: (partition, version, names) =>
      Promise.resolve(
        sim.head(partition)?.version === version ? names.map((name) => sim.blob(partition, name)) : 'moved',
      ),
    close: () => Promise.resolve(),
  };
}

/** Flips a bit of the named blob of the newest checkpoint. */
export function damageIn(sim: SimStore, partition: number, name: string): void {
  const names = [...(sim.view(partition)?.names ?? [])].filter(([, { bytes }]) => bytes > 0).map(([n]) => n);
  let picks = 0;
  sim.damage(partition, () => (picks++ === 0 ? names.indexOf(name) : 0));
}
