/** What a command of a container says, by the numbers of KEP-4006 (`k8s.io/apimachinery/pkg/util/remotecommand`). */
export const STDIN = 0;
export const STDOUT = 1;
export const STDERR = 2;
/** A `Status`, at the end: how the command ended, or why it was not run. */
export const OUTCOME = 3;

export interface ExecRequest {
  /** "exec of sh in pod ns/name" */
  what: string;
  /** With its query. */
  path: string;
  stdin: Uint8Array | "open" | undefined;
  signal: AbortSignal;
}

export interface ExecHandler {
  /** The far side has begun to speak. */
  answered(): void;
  /** A slice of what came: copy it to keep it. */
  output(channel: number, bytes: Buffer): void;
  /** Some of the backlog went out. */
  flushed(): void;
  /** Called once. `cause` is undefined where the far side ended in good order. */
  closed(cause: Error | undefined): void;
}

/** The streams of one command. */
export interface ExecChannels {
  /** Bytes of input that the system has not taken yet. */
  readonly backlog: number;
  input(bytes: Uint8Array): void;
  endInput(): void;
  /** Stops and resumes reading. */
  pause(): void;
  resume(): void;
  destroy(): void;
}

export type OpenExec = (handler: ExecHandler) => ExecChannels;
