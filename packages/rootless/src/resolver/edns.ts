import { type Message, type ResourceRecord, TYPE } from "./message.ts";

/** The pseudo record of RFC 6891: how large an answer the other side takes over UDP, and four more bits of the response code. */

/** What an answer over UDP may have where the client doesn't say more (RFC 1035 section 4.2.1), in bytes. */
const PLAIN_SIZE = 512;

/** What we take, and the most that we send: no network lies between, but a client may have said more than it has room for. */
const OUR_SIZE = 4096;

export interface Edns {
  version: number;
  /** Bytes that an answer over UDP may have. */
  size: number;
}

/** What the query says of it; undefined where it has none. */
export function ednsOf(query: Message): Edns | undefined {
  const option = query.additionals.find(({ type }) => type === TYPE.OPT);
  if (!option) return undefined;
  return { version: (option.ttl >>> 16) & 0xff, size: Math.min(Math.max(option.class, PLAIN_SIZE), OUR_SIZE) };
}

export const sizeOf = (edns: Edns | undefined): number => edns?.size ?? PLAIN_SIZE;

/** Ours, in an answer to a query that has one. */
export const ednsRecord = (rcode = 0): ResourceRecord => ({
  name: "",
  type: TYPE.OPT,
  class: OUR_SIZE,
  ttl: (rcode >>> 4) * 2 ** 24,
  data: [],
});
