import type { Candidate } from "./endpoints.ts";

export interface PickOptions {
  /** Whether one that is terminating but still serves will do, where none is ready. Default true. */
  draining?: boolean;
  /** Keys that this connection has tried already. */
  tried?: ReadonlySet<string>;
  /** Connections that are open to a candidate. */
  load?(key: string): number;
  /** The key that the client's affinity wants. */
  sticky?: string | undefined;
  /** In [0, 1). */
  random?(): number;
}

/**
 * Which pod takes a connection: the sticky one while it is ready, else the ready one with the fewest open connections, by lot among
 * equals. Where none is ready (or none is left), one that is terminating but still serves, as KEP-1669 has it, where such a one will do.
 */
export function pickEndpoint(candidates: readonly Candidate[], options: PickOptions = {}): Candidate | undefined {
  const { draining = true, tried, load = () => 0, sticky, random = Math.random } = options;
  const left = tried?.size ? candidates.filter((candidate) => !tried.has(candidate.key)) : candidates;
  const ready = left.filter((candidate) => candidate.ready);
  if (sticky !== undefined) {
    const same = ready.find((candidate) => candidate.key === sticky);
    if (same) return same;
  }
  const pool = ready.length > 0 || !draining ? ready : left.filter((candidate) => candidate.draining);
  if (pool.length === 0) return undefined;
  const least = Math.min(...pool.map((candidate) => load(candidate.key)));
  const equals = pool.filter((candidate) => load(candidate.key) === least);
  return equals[Math.floor(random() * equals.length)];
}

/** Which pod a client was sent to last, as `sessionAffinity: ClientIP` wants it: forgotten after `timeoutMs` without a connection. */
export interface Affinity {
  get(client: string, now: number): string | undefined;
  set(client: string, key: string, now: number): void;
}

export function createAffinity(timeoutMs: number): Affinity {
  const clients = new Map<string, { key: string; until: number }>();
  return {
    get(client, now) {
      const entry = clients.get(client);
      if (!entry) return undefined;
      if (entry.until > now) return entry.key;
      clients.delete(client);
      return undefined;
    },
    set(client, key, now) {
      clients.set(client, { key, until: now + timeoutMs });
    },
  };
}
