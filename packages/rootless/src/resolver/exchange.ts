/**
 * Takes a DNS query in wire form to a server that answers for the rest of the world, and gives its answer in wire form, whatever that
 * says. Rejects where nobody answers; the client is then told SERVFAIL.
 */
export type Exchange = (query: Uint8Array, options: ExchangeOptions) => Promise<Uint8Array>;

export interface ExchangeOptions {
  /** How the client asked. Over `udp` an answer may come back truncated: the client asks again. */
  transport: "udp" | "tcp";
  signal: AbortSignal;
}
