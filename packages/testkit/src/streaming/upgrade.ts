import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { NodeRuntime } from "../node/runtime.ts";

/** An authenticated and authorised request to a streaming subresource, still to be upgraded. */
export interface UpgradeRequest {
  request: IncomingMessage;
  socket: Duplex;
  /** Bytes that came behind the request's head. */
  head: Buffer;
  namespace: string;
  pod: string;
  subresource: "portforward" | "exec" | "attach";
  query: URLSearchParams;
}

/** Answers the upgrade (101, or an HTTP error on the socket) and serves it until it ends. Never throws. */
export type UpgradeHandler = (request: UpgradeRequest, node: NodeRuntime) => void;
