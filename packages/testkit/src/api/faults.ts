import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

export interface RequestFacts {
  verb: string;
  resource: string;
  subresource: string;
  watch: boolean;
  user: string;
  /** What the request came on: faults that begin later concern it too. */
  socket?: Duplex;
}

/** `drop` cuts the connection, `freeze` takes the request and never answers it. */
export type RequestFault = { status: number; body?: unknown; headers?: Record<string, string> } | "drop" | "freeze" | undefined;

/** What the API server asks before it takes a connection or serves a request. */
export interface ServerFaults {
  /** The stream that takes the socket's place; undefined where the connection was dealt with. */
  connection(socket: Socket): Duplex | undefined;
  request(facts: RequestFacts): Promise<RequestFault> | RequestFault;
  /** What a connection is used for from now on; the answer takes that back. */
  label?(socket: Duplex, kind: "watch" | "portforward"): () => void;
}
