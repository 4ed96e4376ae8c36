import type { Duplex } from "node:stream";
import type { HeaderList } from "../exchange.ts";

/** How a request is sent, and who is told what comes back. */
export interface Way {
  /** `http://` or `https://`, host and port. */
  base: URL;
  /** Where it isn't reached by its origin. */
  stream?: Duplex;
  signal: AbortSignal;
  onSent(): void;
  onAnswer(head: { status: number; statusText: string; headers: HeaderList }): void;
  onBody(part: Uint8Array): void;
  onTrailers(trailers: HeaderList): void;
}

/** Of names and values that take turns, as Node has them. */
export function pairs(raw: readonly string[]): HeaderList {
  return raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? ""] as const] : []));
}
