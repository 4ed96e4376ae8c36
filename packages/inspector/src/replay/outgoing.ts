import { inspectorError } from "../errors.ts";
import type { Exchange, HeaderList } from "../exchange.ts";
import { isCarried, isHeaderValue, isToken } from "../headers.ts";

/** What is sent instead of what was captured. What isn't named stays. */
export interface ReplayEdit {
  method?: string;
  path?: string;
  headers?: HeaderList;
  body?: Uint8Array;
}

/** A request as it is sent again. */
export interface Outgoing {
  /** `2` for one that came by HTTP/2: who takes that may take nothing else, as gRPC. */
  httpVersion: "1.1" | "2";
  method: string;
  path: string;
  headers: HeaderList;
  body: Uint8Array;
}

/** Throws `INSPECTOR_BODY_CUT` where the body wasn't kept whole, `INSPECTOR_REPLAY_INVALID` where it is none that HTTP can carry. */
export function outgoing(original: Exchange, edit: ReplayEdit): Outgoing {
  const invalid = (why: string): Error =>
    inspectorError("INSPECTOR_REPLAY_INVALID", `request ${original.id} can't be sent again so: ${why}`, {
      hint: "correct that part of the request",
    });
  if (original.httpVersion === "") throw invalid(`it is a connection of ${original.method}, and no request`);
  const { requestBody } = original;
  if (edit.body === undefined && requestBody.kept.length < requestBody.bytes)
    throw inspectorError(
      "INSPECTOR_BODY_CUT",
      `request ${original.id} can't be sent again: ${requestBody.kept.length} of its ${requestBody.bytes} bytes were kept`,
      {
        hint: "give a body of your own, or raise maxBodyBytes",
      },
    );
  const { method = original.method, path = original.path, body = requestBody.kept } = edit;
  const httpVersion = original.httpVersion === "2" ? "2" : "1.1";
  const headers = (edit.headers ?? original.requestHeaders).filter(([name, value]) => isCarried(httpVersion, name, value));
  if (!isToken(method) || method === "CONNECT") throw invalid(`${JSON.stringify(method)} is no method that can be sent again`);
  if (original.status === 101) throw invalid("it became a WebSocket, or another protocol");
  if (!/^[\x21-\x7e]+$/.test(path) || !/^(?:\/|\*$|https?:\/\/)/.test(path)) throw invalid(`${JSON.stringify(path)} is no path`);
  for (const [name, value] of headers) {
    if (!isToken(name)) throw invalid(`${JSON.stringify(name)} is no name of a header`);
    if (!isHeaderValue(value)) throw invalid(`the value of ${name} holds characters that a header can't`);
  }
  return { httpVersion, method, path: path.startsWith("http") ? withoutOrigin(path) : path, headers, body };
}

function withoutOrigin(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}
