/** A pod of the relay that the cluster takes to be ready. */
export interface ReadyReplica {
  name: string;
  /** Whether our lease stands there now. */
  leased: boolean;
  /** Whether it ever stood. */
  wasLeased: boolean;
}

/** How long one must be out of reach while another is not, in ms: more than an API server that comes back needs for all links. */
const OUT_OF_REACH_MS = 6_000;
/** Of two that can't be reached one after the other, something else is the cause. */
const AGAIN_MS = 60_000;

/**
 * Finds the replica of a relay whose node is lost. The cluster notices that by itself after 40 to 50 s
 * (`--node-monitor-grace-period`), and until then sends every other caller there, to wait in vain. Who has a link to each replica knows it
 * sooner: one that had our lease is out of reach, while another one has it all the time. Pure but for what it remembers.
 */
export function createLostReplicas(): { look(replicas: readonly ReadyReplica[], now: number): string | undefined } {
  const since = new Map<string, number>();
  let last = Number.NEGATIVE_INFINITY;
  return {
    look(replicas, now) {
      const another = replicas.some(({ leased }) => leased);
      const suspects = replicas.filter(({ leased, wasLeased }) => another && wasLeased && !leased).map(({ name }) => name);
      for (const name of since.keys()) if (!suspects.includes(name)) since.delete(name);
      for (const name of suspects) if (!since.has(name)) since.set(name, now);
      const lost = suspects.find((name) => now - since.get(name)! >= OUT_OF_REACH_MS);
      if (lost === undefined || now - last < AGAIN_MS) return undefined;
      last = now;
      return lost;
    },
  };
}
