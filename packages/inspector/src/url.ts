import { type Exchange, headerOf } from "./exchange.ts";

/** Where a captured request went, as far as it says so itself. */
export function urlOf(exchange: Exchange): string {
  const { path, connection, requestHeaders } = exchange;
  if (/^https?:\/\//i.test(path)) return path;
  const host = headerOf(requestHeaders, "host") || connection.service || "localhost";
  // `OPTIONS *` and `CONNECT host:port` have no path.
  return `http://${host}${path.startsWith("/") ? path : `/${path === "*" ? "" : path}`}`;
}
