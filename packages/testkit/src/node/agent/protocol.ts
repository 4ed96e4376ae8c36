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

/** How a container's root is put together in its own mount namespace. All paths are the agent's but `links` and `mounts[].at`. */
export interface RootView {
  /** Top-level directories: `overlay` keeps what is written private, `bind` shares the directory as it is. */
  directories: ReadonlyArray<{ path: string; how: "overlay" | "bind" }>;
  /** Symbolic links made in the root: path → target. */
  links: Readonly<Record<string, string>>;
  mounts: ReadonlyArray<{ at: string; source: string; file: boolean; readOnly: boolean }>;
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
  /** Directory to remove when the node disappears without a word. */
  | { op: "adopt"; directory: string };

export type AgentMessage =
  | { type: "ready" }
  | { type: "answer"; seq: number; error?: { code: string; message: string }; pid?: number }
  | { type: "stream"; exec: string; fd: 0 | 1 | 2 }
  | { type: "exit"; id: string; exitCode: number; signal: number }
  | { type: "execExit"; exec: string; exitCode: number }
  /** The container has written to its log. */
  | { type: "log"; id: string };
