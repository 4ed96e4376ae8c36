/** RFC 3986's form: an IPv6 address in brackets. */
export function authorityOf(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Undefined where it is none: a host, a colon, and a port of 1–65535. */
export function parseAuthority(authority: string): { host: string; port: number } | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/.exec(authority) ?? [];
  const port = Number(digits);
  const host = bracketed ?? plain;
  return host && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}
