import { grpcLine } from "../decode/grpc-status.ts";
import { viewBody } from "../decode/view.ts";
import type { Exchange, HeaderList } from "../exchange.ts";
import { isSecretHeader, maskHeaders } from "../headers.ts";
import type { ReplayTarget } from "../replay/replay.ts";
import { summaryOf } from "../summary.ts";
import { urlOf } from "../url.ts";

/** All there is to show of an exchange, as plain data. */
export async function exchangeJson(exchange: Exchange, targets: readonly ReplayTarget[], reveal: boolean) {
  const { requestHeaders, requestBody, responseHeaders, responseTrailers, responseBody } = exchange;
  const shown = (headers: HeaderList): HeaderList => (reveal ? headers : maskHeaders(headers));
  return {
    summary: summaryOf(exchange),
    url: urlOf(exchange),
    httpVersion: exchange.httpVersion,
    statusText: exchange.statusText,
    note: exchange.note ?? "",
    connection: exchange.connection,
    timings: exchange.timings,
    masked: !reveal && [...requestHeaders, ...responseHeaders].some(([name]) => isSecretHeader(name)),
    request: { headers: shown(requestHeaders), body: await viewBody(requestHeaders, requestBody) },
    response: { headers: shown(responseHeaders), body: await viewBody(responseHeaders, responseBody) },
    trailers: shown(responseTrailers),
    grpcStatus: grpcLine(exchange),
    messages: exchange.messages,
    messageCount: exchange.messageCount,
    replayTargets: targets,
  };
}
