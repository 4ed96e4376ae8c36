import type { ServiceRoute } from "../network/endpoints.ts";

/**
 * What a node says to an agent over its IPC channel, and back. An agent starts the containers of one pod (or, without namespaces, of
 * all pods), inside whatever namespaces it was itself started in. It ends with its channel, and everything it started ends with it.
 */
export interface Launch {
  /** Unique for each run of a container. */
  id: string;
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  cwd: string;
  /** Lines as the CRI writes them: `time stream F|P text`. */
  logFile: string;
  /** At this size the file moves to `logFile.1`, replacing it. */
  maxLogBytes: number;
  /** A root of its own; without it, the container sees the agent's. */
  view?: RootView;
}

/**
 * How a container's root is put together in its own mount namespace. `base` is a directory of the agent's for this run alone; the
 * other paths are the container's, sources are the agent's. Parents come before children.
 */
export interface RootView {
  base: string;
  /** Directories of the root that are made. */
  directories: readonly string[];
  /** The machine's directory of that name, with everything that is written kept private. */
  overlays: readonly string[];
  /** Directories and files put somewhere. */
  binds: ReadonlyArray<{ at: string; source: string; file: boolean; readOnly: boolean; recursive: boolean }>;
  /** Symbolic links: path to target. */
  links: ReadonlyArray<{ at: string; target: string }>;
}

export type AgentRequest =
  | { op: "start"; launch: Launch }
  /** To the container's first process; `group`: to all of them. */
  | { op: "signal"; id: string; signal: NodeJS.Signals; group: boolean }
  /** Three streams come back (`stream` messages with a socket each) before the answer. */
  | { op: "exec"; exec: string; id: string; argv: readonly string[]; stdin: boolean; tty: boolean }
  | { op: "endExec"; exec: string }
  /** The connected socket comes with the answer. */
  | { op: "dial"; host: string; port: number }
  /** What a service's address serves from now on: the agent is the node's proxy. */
  | { op: "serve"; address: string; routes: readonly ServiceRoute[] }
  /** The node ends in good order, and removes its directory itself. */
  | { op: "release" };

export type AgentMessage =
  | { type: "ready" }
  | { type: "answer"; seq: number; error?: { code: string; message: string }; pid?: number }
  | { type: "stream"; exec: string; fd: 0 | 1 | 2 }
  | { type: "exit"; id: string; exitCode: number; signal: number }
  | { type: "execExit"; exec: string; exitCode: number }
  /** A connection to a service that only the node's own process can reach, with the socket. */
  | { type: "handOver" }
  /** The container has written to its log. */
  | { type: "log"; id: string };
