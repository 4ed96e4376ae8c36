import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";

export interface ExecOptions {
  container?: string;
  command: readonly string[];
  /** Whether the client will send input; without it the process reads from an empty stdin. */
  stdin: boolean;
  tty: boolean;
}

export interface ExecProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Exit code; 128 + signal number where a signal ended it. */
  readonly exited: Promise<number>;
  kill(): void;
}

export interface LogOptions {
  container?: string;
  follow: boolean;
  previous: boolean;
  timestamps: boolean;
  tailLines?: number;
  limitBytes?: number;
  /** Entries at or after this time. */
  since?: Date;
}

/**
 * What the API server asks of the node about a running pod: to the real one, the kubelet's API. All reject with an Error whose
 * `message` is the kubelet's own wording, and a `code`: "NotFound" (no such pod or container), "NotRunning", or a socket's code.
 */
export interface NodeRuntime {
  /** Connects to `127.0.0.1:port` as the pod sees it, `allowHalfOpen`. ECONNREFUSED where nothing listens. */
  dialPod(namespace: string, pod: string, port: number): Promise<Socket>;
  exec(namespace: string, pod: string, options: ExecOptions): Promise<ExecProcess>;
  /** Ends when the log ends, or never where `follow` is set and the container runs; destroy it to stop. */
  logs(namespace: string, pod: string, options: LogOptions): Promise<Readable>;
}
