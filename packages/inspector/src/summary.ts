import { grpcStatus } from "./decode/grpc-status.ts";
import { type ConnectionFacts, type Exchange, headerOf } from "./exchange.ts";

/** An exchange without headers, bodies and messages: what a list shows. Plain data. */
export interface ExchangeSummary {
  id: number;
  startedAt: number;
  method: string;
  path: string;
  host: string;
  status: number | null;
  state: Exchange["state"];
  /** ms from the first byte of the request to the last of the answer; null while it is open. */
  duration: number | null;
  requestBytes: number;
  responseBytes: number;
  contentType: string;
  pinned: boolean;
  replayOf: number | null;
  direction: ConnectionFacts["direction"];
  service: string;
  /** Who called: a name, or an address. */
  caller: string;
  /** Where it was sent, and by which rule; "" where that isn't known. */
  route: string;
  /** How a call of gRPC ended, as in `5 NOT_FOUND`; "" for all else. */
  grpcStatus: string;
}

export function summaryOf(exchange: Exchange): ExchangeSummary {
  const { connection, timings } = exchange;
  return {
    id: exchange.id,
    startedAt: exchange.startedAt,
    method: exchange.method,
    path: exchange.path,
    host: headerOf(exchange.requestHeaders, "host") ?? "",
    status: exchange.status ?? null,
    state: exchange.state,
    duration: timings.done ?? null,
    requestBytes: exchange.requestBody.bytes,
    responseBytes: exchange.responseBody.bytes,
    contentType: headerOf(exchange.responseHeaders, "content-type") ?? "",
    pinned: exchange.pinned,
    replayOf: exchange.replayOf ?? null,
    direction: connection.direction,
    service: connection.service ?? "",
    caller: connection.caller ?? connection.peer ?? "",
    route: connection.route ?? "",
    grpcStatus: grpcStatus(exchange)?.status ?? "",
  };
}
