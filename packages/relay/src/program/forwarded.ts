/** Who called, as the relay sees it. */
export interface Caller {
  /** IPv4 or IPv6 address. */
  address: string;
  /** The request's `Host` or `:authority`. */
  host?: string | undefined;
  /** The call came over TLS. */
  secure?: boolean;
}

/**
 * The headers that tell the far end of a caller whom it no longer sees: its address is added to `X-Forwarded-For`, `-Proto` and `-Host` say
 * what they were unless somebody before said so, and `Forwarded` (RFC 7239) goes on where somebody began it. `given` are values as received,
 * several lines joined; what is returned takes their place.
 */
export function forwardedHeaders(given: (name: string) => string | undefined, caller: Caller): Array<readonly [string, string]> {
  const { host } = caller;
  const proto = caller.secure ? "https" : "http";
  const address = caller.address.replace(/^::ffff:(?=\d+\.)/i, "");
  const chain = given("x-forwarded-for");
  const forwarded = given("forwarded");
  const node = address.includes(":") ? `"[${address}]"` : address;
  return [
    ["X-Forwarded-For", chain ? `${chain}, ${address}` : address] as const,
    ...(given("x-forwarded-proto") === undefined ? [["X-Forwarded-Proto", proto] as const] : []),
    ...(given("x-forwarded-host") === undefined && host ? [["X-Forwarded-Host", host] as const] : []),
    ...(forwarded ? [["Forwarded", `${forwarded}, for=${node}${quotedHost(host)};proto=${proto}`] as const] : []),
  ];
}

const quotedHost = (host: string | undefined): string => (host ? `;host="${host.replace(/[\\"]/g, "\\$&")}"` : "");
