import type { HeaderList } from "./exchange.ts";

/** Stands for a value that isn't shown. */
export const MASK = "••••••";

const SECRET_NAMES = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "api-key",
  "x-auth-token",
  "x-access-token",
  "x-csrf-token",
  "x-xsrf-token",
  "x-amz-security-token",
  "x-goog-api-key",
  "x-gitlab-token",
  "x-vault-token",
  "x-shipside-token",
]);

/** Whether a header carries what lets its reader act as somebody else: the known names, and those that say so (`…-secret`, `…-password`, `…-token`). */
export function isSecretHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return SECRET_NAMES.has(lower) || /(?:^|[-_])(?:secret|password|passwd|token|apikey)$/.test(lower);
}

/** A copy with every secret value replaced by {@link MASK}; the scheme of an `authorization` stays, for it is what one debugs. */
export function maskHeaders(headers: HeaderList): HeaderList {
  return headers.map(([name, value]) => {
    if (!isSecretHeader(name)) return [name, value];
    const scheme = /^(?:proxy-)?authorization$/i.test(name) ? /^(Basic|Bearer|Digest|Negotiate) /i.exec(value)?.[1] : undefined;
    return [name, scheme ? `${scheme} ${MASK}` : MASK];
  });
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** RFC 9110, 5.6.2. */
export const isToken = (text: string): boolean => TOKEN.test(text);

/** RFC 9110, 5.5: bytes but control characters; what isn't ASCII came as bytes and is held as latin1. */
export const isHeaderValue = (text: string): boolean => /^[\t\x20-\x7e\x80-\xff]*$/.test(text);

const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "expect",
  "content-length",
]);

/**
 * What a request that is sent again takes along. Of HTTP/2 `te: trailers` too: servers of gRPC refuse a call that doesn't say so, and it is all that
 * `te` may say there (RFC 9113, 8.2.2).
 */
export const isCarried = (httpVersion: string, name: string, value: string): boolean =>
  !isOfTheConnection(name) || (httpVersion === "2" && name.toLowerCase() === "te" && value === "trailers");

/** What belongs to one connection or to one body's framing, and isn't carried to another request. */
export const isOfTheConnection = (name: string): boolean => HOP_BY_HOP.has(name.toLowerCase());
