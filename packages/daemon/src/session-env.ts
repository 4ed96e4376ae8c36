import type { Closable, EnvEntry, Logger, Plugin } from "@shipside/core";
import type { Cluster, Workload } from "@shipside/kube";
import type { Journal } from "./journal.ts";

export interface SessionEnv extends Closable {
  readonly entries: readonly EnvEntry[];
  readonly file?: { path: string; format: string; variables: number };
}
export async function openSessionEnv(_: {
  cluster: Cluster;
  workload: Workload;
  container: string | undefined;
  envFile: { path: string; format?: string } | undefined;
  journal: Journal;
  plugins: readonly Plugin[];
  logger: Logger;
  signal: AbortSignal;
  warn: (e: unknown) => void;
  session: string;
}): Promise<SessionEnv> {
  return { entries: [], close: async () => {}, [Symbol.asyncDispose]: async () => {} };
}
