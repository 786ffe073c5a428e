/**
 * container: from a cgroup's path the first twelve digits of the container's id, as its engine shows it, or the name of
 * an LXC container; empty for what runs in none. Paths as docker, containerd, CRI-O, podman, Kubernetes and LXC make them.
 */
import { named } from './named.ts';

/** The last one counts: a container may run in another. */
export function containerOf(path: string): string {
  for (const part of path.split('/').reverse()) {
    const id = /^(?:(?:docker|cri-containerd|crio|libpod|nerdctl|containerd)-)?([0-9a-f]{64})(?:\.scope)?$/.exec(
      part,
    )?.[1];
    if (id !== undefined) return id.slice(0, 12);
    const lxc = /^lxc\.payload\.(.+)$/.exec(part)?.[1];
    if (lxc !== undefined) return lxc;
  }
  return /\/lxc\/([^/]+)/.exec(path)?.[1] ?? '';
}

export const container = named('cgroup', containerOf);
