import type { ChildProcess } from "node:child_process";
import type { Socket as DatagramSocket } from "node:dgram";
import type { Server, Socket } from "node:net";
import type { AgentMessage, AgentResults, Fields, ListeningSocket, Op } from "./agent/requests.ts";
import { rootlessError } from "./errors.ts";

/** Asks the agent. Rejects with what it met (`code` is the system's), or `ROOTLESS_CLOSED`. */
export type CallAgent = <O extends Op>(
  op: O,
  fields: Fields<O>,
) => Promise<{ result: AgentResults[O]; socket: Server | DatagramSocket | Socket | undefined }>;

/** This end of the channel to the agent. */
export interface AgentClient {
  call: CallAgent;
  /** Resolves with its first word; rejects with `gone()` where it ends before that. */
  readonly ready: Promise<void>;
  /** Resolves when a command has ended; rejects where the agent ends first. */
  exit(run: number): Promise<number>;
}

export interface AgentEvents {
  listening(sockets: readonly ListeningSocket[]): void;
}

export function connectAgent(child: ChildProcess, events: AgentEvents): AgentClient {
  const waiting = new Map<number, { resolve(answer: never): void; reject(error: Error): void }>();
  const exits = new Map<number, PromiseWithResolvers<number>>();
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});
  let next = 1;
  let ended = false;

  const gone = (): Error => rootlessError("ROOTLESS_CLOSED", "the namespaces are gone, and everything in them");
  const exitOf = (run: number): PromiseWithResolvers<number> => {
    const known = exits.get(run) ?? Promise.withResolvers<number>();
    exits.set(run, known);
    known.promise.catch(() => {});
    return known;
  };
  const end = (): void => {
    if (ended) return;
    ended = true;
    ready.reject(gone());
    for (const { reject } of waiting.values()) reject(gone());
    for (const { reject } of exits.values()) reject(gone());
    waiting.clear();
  };

  child.on("message", (given: unknown, socket) => {
    const message = given as AgentMessage;
    if ("ready" in message) ready.resolve();
    else if ("listening" in message) events.listening(message.listening);
    else if ("exitCode" in message) exitOf(message.run).resolve(message.exitCode);
    else {
      const asker = waiting.get(message.id);
      waiting.delete(message.id);
      if ("error" in message) {
        const { message: text, code } = message.error;
        asker?.reject(Object.assign(new Error(text), code !== undefined && { code }));
      } else asker?.resolve({ result: message.result, socket } as never);
    }
  });
  child.on("disconnect", end);
  child.on("exit", end);

  return {
    ready: ready.promise,
    call: (op, fields) =>
      new Promise((resolve, reject) => {
        if (ended || !child.connected) return reject(gone());
        const id = next++;
        waiting.set(id, { resolve, reject });
        child.send({ id, op, ...fields }, (error) => error && waiting.delete(id) && reject(gone()));
      }),
    async exit(run) {
      if (ended) throw gone();
      try {
        return await exitOf(run).promise;
      } finally {
        exits.delete(run);
      }
    },
  };
}
