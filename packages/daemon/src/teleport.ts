import type { Cluster } from "@shipside/kube";
import { createSessionHost, type HostOptions } from "./host.ts";
import { stateDir as defaultStateDir } from "./paths.ts";
import { recover } from "./recover.ts";
import type { Session } from "./session.ts";
import type { SessionEvent, SessionOptions } from "./session-info.ts";

export interface TeleportOptions extends SessionOptions, HostOptions {
  /** Used and left open, instead of connecting one. */
  cluster?: Cluster;
  /** Ends the opening. */
  signal?: AbortSignal;
  onEvent?: (event: SessionEvent) => void;
}

/**
 * One session in this process, without a daemon. First undoes what processes that are gone left on this machine.
 *
 * ```ts
 * await using session = await teleport({ workload: "deployment/core", hosts: false });
 * session.address("leaf", 3010); // "127.72.14.7:3010"
 * ```
 */
export async function teleport(options: TeleportOptions = {}): Promise<Session> {
  const { cluster, signal, onEvent, stateDir = defaultStateDir(), logger } = options;
  // What is in clusters is left to the daemon and to `shipside clean`: this session need not wait for clusters it has nothing to do with.
  await recover({ stateDir, where: "machine", ...(logger && { logger }) });
  const host = createSessionHost(options);
  try {
    const { session, release } = await host.open(options, {
      ...(cluster && { cluster }),
      ...(signal && { signal }),
      ...(onEvent && { onEvent }),
    });
    const close = async (): Promise<void> => {
      try {
        await release();
      } finally {
        await host.close();
      }
    };
    return Object.create(session, { close: { value: close }, [Symbol.asyncDispose]: { value: close } }) as Session;
  } catch (error) {
    await host.close().catch(() => {});
    throw error;
  }
}
