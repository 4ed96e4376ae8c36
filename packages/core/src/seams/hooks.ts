/** What a hook is told of a session. */
export interface SessionFacts {
  id: string;
  kind: "teleport" | "env" | "mount" | "intercept" | "expose";
  context: string;
  server: string;
  namespace: string;
  workload?: string;
}

export interface TunnelFacts {
  namespace: string;
  service: string;
  address: string;
  ports: readonly number[];
}

/**
 * Lifecycle hooks, awaited in the order in which plugins are given (in reverse while closing). A hook that throws while opening ends
 * the session with that error, and everything is undone; one that throws later is logged and the rest goes on.
 */
export interface Hooks {
  sessionOpening?(session: SessionFacts): void | Promise<void>;
  sessionOpened?(session: SessionFacts): void | Promise<void>;
  sessionClosing?(session: SessionFacts): void | Promise<void>;
  sessionClosed?(session: SessionFacts): void | Promise<void>;
  tunnelOpened?(session: SessionFacts, tunnel: TunnelFacts): void | Promise<void>;
  tunnelClosed?(session: SessionFacts, tunnel: TunnelFacts): void | Promise<void>;
}
