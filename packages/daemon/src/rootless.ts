import { type Closable, createCloser } from "@shipside/core";
import { openNamespace } from "@shipside/rootless";
import type { RunCommandOptions, RunningCommand } from "./child/run.ts";
import type { HostOptions } from "./host.ts";
import type { MountInfo } from "./session-info.ts";

/** Namespaces for one command, and what makes a session theirs. */
export interface Rootless extends Closable {
  /** For the session host whose sessions are to be in the namespaces: their names, addresses and listeners. Close it before this. */
  readonly hostOptions: Pick<HostOptions, "hosts" | "listeners" | "bind">;
  /** Shows a session's volumes at their own paths, before a command runs. Returns what could not be shown (`ROOTLESS_MOUNT`). */
  show(mount: MountInfo): Promise<Error[]>;
  /** Runs a command there: as `runCommand` does. */
  run(options: RunCommandOptions): Promise<RunningCommand>;
}

export interface RootlessOptions {
  /** Ends the opening. */
  signal?: AbortSignal;
}

/**
 * Makes namespaces in which a command sees the cluster's names, addresses and low ports, while nothing on the machine changes and nobody is
 * root. Rejects with `ROOTLESS_UNSUPPORTED`, `ROOTLESS_FORBIDDEN`, `ROOTLESS_FAILED`.
 */
export async function openRootless(options: RootlessOptions = {}): Promise<Rootless> {
  const closer = createCloser();
  const namespace = closer.use(await openNamespace(options));
  return {
    hostOptions: { hosts: namespace.hosts, listeners: namespace.listeners, bind: "cluster" },
    async show({ volumes }) {
      const failed: Error[] = [];
      // The outer one of nested paths first.
      for (const { localPath, mountPath, readOnly } of volumes.toSorted((a, b) => a.mountPath.length - b.mountPath.length)) {
        await namespace.mount({ source: localPath, target: mountPath, readOnly }).catch((error: Error) => failed.push(error));
      }
      return failed;
    },
    async run({ command, env, cwd, stdout, signal, graceMs = 5_000 }) {
      const { exited, kill } = await namespace.run({
        ...{ command, env },
        ...(cwd !== undefined && { cwd }),
        ...(stdout && { stdout }),
      });
      const onAbort = (): void => {
        kill("SIGTERM");
        setTimeout(() => kill("SIGKILL"), graceMs).unref();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      if (signal?.aborted) onAbort();
      return { pid: namespace.pid, exited, kill };
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}
