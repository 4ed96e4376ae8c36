import type { Redirections } from "./redirect.ts";

/** What is asked of the agent, over the IPC channel between it and the process that made its namespaces. */
export type AgentRequest =
  /** Has these addresses on the loopback interface, those that are there already included. */
  | { op: "addresses"; addresses: readonly string[] }
  /** The answer brings the listening socket. */
  | { op: "listen"; address: string; port: number }
  /** The answer brings the bound UDP socket. */
  | { op: "bind"; address: string; port: number }
  /** The answer brings the connected socket. */
  | { op: "connect"; address: string; port: number }
  | ({ op: "redirect" } & Redirections)
  /** What a file of the namespaces' own holds from now on. */
  | { op: "write"; path: string; text: string }
  /** What `hostname` says from now on. */
  | { op: "hostname"; name: string }
  /** Shows `source` at `target`, which is made where it isn't there. `device`: of `source`, as outside. */
  | { op: "mount"; source: string; target: string; readOnly: boolean; device: number }
  | { op: "run"; command: readonly string[]; env: NodeJS.ProcessEnv; cwd: string; stdout: "inherit" | "stderr" }
  | { op: "kill"; run: number; signal: NodeJS.Signals };

export interface AgentResults {
  addresses: Record<string, never>;
  listen: { port: number };
  bind: { port: number };
  connect: Record<string, never>;
  redirect: Record<string, never>;
  write: Record<string, never>;
  hostname: Record<string, never>;
  /** By which it is killed, and told of when it has ended. */
  mount: Record<string, never>;
  run: { run: number };
  kill: Record<string, never>;
}

export type Op = AgentRequest["op"];
export type Fields<O extends Op> = Omit<Extract<AgentRequest, { op: O }>, "op">;

/** Where a TCP socket listens. */
export interface ListeningSocket {
  /** As it is bound: `0.0.0.0` and `::` for all. */
  address: string;
  port: number;
}

/** What the agent says. */
export type AgentMessage =
  | { ready: true }
  | { id: number; result: AgentResults[Op] }
  | { id: number; error: { code?: string; message: string } }
  /** 128 + n where signal n ended it. */
  | { run: number; exitCode: number }
  /** All sockets that listen now, handed ones included; where that has changed. */
  | { listening: readonly ListeningSocket[] };
