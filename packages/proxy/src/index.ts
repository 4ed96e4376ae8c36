export { PROXY_ERRORS, type ProxyErrorCode, proxyError } from "./errors.ts";
