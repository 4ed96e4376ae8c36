import type { IncomingMessage, ServerResponse } from "node:http";
import type { RequestInfo } from "./request-info.ts";
import type { UserInfo } from "./users.ts";

/** An authenticated and authorised request. */
export interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  info: RequestInfo;
  query: URLSearchParams;
  user: UserInfo;
}
