import { type Closable, createCloser, type ErrorJson, errorFromJson, type HostsOwner, type ListenerFactory } from "@shipside/core";
import { daemonError } from "./errors.ts";
import { HELPER_PROTOCOL, type HelperRequest, type HelperResults } from "./helper/requests.ts";
import type { HandedSocket } from "./helper/sockets.ts";
import { helperHosts } from "./helper-hosts.ts";
import { helperListeners } from "./helper-listeners.ts";

/** A process's channel to its parent: `process` itself. */
export type HelperChannel = Pick<NodeJS.Process, "on" | "off" | "send" | "disconnect" | "connected">;

/** The daemon's end of the privileged helper that started it. */
export interface Helper extends Closable {
  readonly pid: number;
  readonly version: string;
  /** Every listener is made by the helper, also one that this process could make. Traffic never passes through it. */
  listeners(): Required<ListenerFactory>;
  /** This user's names in the machine's hosts file. `path` says where the helper writes, for reading it. */
  hosts(options?: { path?: string }): HostsOwner;
  /** Fires when the helper is gone: from then on everything that needs it rejects with `HELPER_GONE`. */
  readonly ended: AbortSignal;
  /** The helper undoes everything and ends. Rejects with `UNDO_FAILED` where something is left. */
  close(): Promise<void>;
}

type Op = HelperRequest["op"];

/** Asks the helper. Rejects with its error, or `HELPER_GONE`. A socket that came with the answer is listening, or bound. */
export type CallHelper = <O extends Op>(
  op: O,
  fields: Omit<Extract<HelperRequest, { op: O }>, "id" | "op">,
) => Promise<{ result: HelperResults[O]; socket: HandedSocket | undefined }>;

/**
 * Meets the helper over `channel`. Rejects with `HELPER_VERSION` where it speaks another protocol, and `HELPER_GONE` where nobody answers
 * within `timeoutMs` (which holds for each later request too).
 */
export async function connectHelper(channel: HelperChannel, options: { timeoutMs?: number } = {}): Promise<Helper> {
  const { timeoutMs = 30_000 } = options;
  const ended = new AbortController();
  const waiting = new Map<
    number,
    { resolve(answer: { result: unknown; socket?: HandedSocket }): void; reject(error: Error): void }
  >();
  let next = 1;
  let pid = 0;
  let version = "";

  const gone = (why: string): Error =>
    daemonError("HELPER_GONE", `the privileged helper${pid ? ` (pid ${pid})` : ""} ${why}`, {
      hint: "`shipside stop`, then `shipside start`: sessions go on until then, without names and low ports that are new",
    });

  const request: CallHelper = (op, fields) =>
    new Promise((resolve, reject) => {
      if (!channel.connected || ended.signal.aborted) return reject(gone("has ended"));
      const id = next++;
      const settle = (then: () => void): void => {
        clearTimeout(timer);
        waiting.delete(id);
        then();
      };
      const timer = setTimeout(() => settle(() => reject(gone(`has not answered within ${timeoutMs} ms`))), timeoutMs);
      waiting.set(id, {
        resolve: (answer) => settle(() => resolve(answer as never)),
        reject: (error) => settle(() => reject(error)),
      });
      channel.send!({ id, op, ...fields }, (error: Error | null) => {
        if (error) waiting.get(id)?.reject(gone("has ended"));
      });
    });

  const onMessage = (message: unknown, handle: unknown): void => {
    const { id, result, error } = (message ?? {}) as { id?: number | null; result?: unknown; error?: ErrorJson };
    const socket = handle as HandedSocket | undefined;
    const asker = typeof id === "number" ? waiting.get(id) : undefined;
    // Who asked for it waits no longer.
    if (!asker) socket?.close();
    else if (error) asker.reject(errorFromJson(error));
    else asker.resolve({ result, ...(socket && { socket }) });
  };
  const onDisconnect = (): void => {
    const error = gone("has ended");
    ended.abort(error);
    for (const { reject } of [...waiting.values()]) reject(error);
  };
  channel.on("message", onMessage);
  channel.on("disconnect", onDisconnect);
  const detach = (): void => {
    channel.off("message", onMessage);
    channel.off("disconnect", onDisconnect);
  };

  try {
    const { result } = await request("hello", {});
    if (result.protocol !== HELPER_PROTOCOL) {
      throw daemonError("HELPER_VERSION", `the helper speaks version ${result.protocol}, this daemon ${HELPER_PROTOCOL}`, {
        hint: "install the helper anew with the same release: `shipside start --install`",
      });
    }
    ({ pid, version } = result);
  } catch (error) {
    detach();
    throw error;
  }

  const closer = createCloser();
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    try {
      await closer.close();
      if (!ended.signal.aborted) await request("bye", {});
    } finally {
      detach();
      ended.abort(gone("was sent away"));
      if (channel.connected) channel.disconnect();
    }
  };
  const helper: Helper = {
    pid,
    version,
    listeners: () => closer.use(helperListeners(request)),
    hosts: ({ path } = {}) => helperHosts(request, path),
    ended: ended.signal,
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => helper.close(),
  };
  return helper;
}
