export { PROXY_ERRORS, type ProxyErrorCode, proxyError } from "./errors.ts";
export type { OnProxyEvent, ProxyEvent } from "./events.ts";
export { type Exposed, type ExposeOptions, type ExposeStatus, openExpose } from "./expose.ts";
export { type Intercept, type InterceptOptions, type InterceptStatus, openIntercept } from "./intercept.ts";
export { createLocalEnd, type LocalEnd, type LocalEndOptions, type LocalPort, type LocalPortStats } from "./local-end.ts";
export { type Developer, describeMatch, INTERCEPT_HEADER, type MatchWords, markingHeaders, parseMatch } from "./match.ts";
export { type PortWish, parsePort } from "./ports.ts";
export { endIntercept, type InterceptTrace } from "./relay-end.ts";
export { type InterceptRecord, readRecord } from "./service-patch.ts";
