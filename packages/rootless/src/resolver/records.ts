import { isIPv4 } from "node:net";
import { IN, numbers, type RecordData, type ResourceRecord, TYPE } from "./message.ts";

/** A record without its owner and time to live. */
export interface RecordBody {
  type: number;
  data: RecordData;
  /** Of a CNAME whose target leads nowhere in the cluster: the target's addresses for who came by this name. */
  reached?: readonly RecordBody[];
}

export const ownedBy = (name: string, ttl: number, { type, data }: RecordBody): ResourceRecord => ({
  name,
  type,
  class: IN,
  ttl,
  data,
});

/** A or AAAA, as `address` is. */
export function addressRecord(address: string): RecordBody {
  return { type: isIPv4(address) ? TYPE.A : TYPE.AAAA, data: [addressBytes(address)] };
}

/** `name` for CNAME, PTR and NS. */
export const nameRecord = (type: "CNAME" | "PTR" | "NS", name: string): RecordBody => ({ type: TYPE[type], data: [name] });

export const srvRecord = (port: number, target: string, weight: number): RecordBody => ({
  type: TYPE.SRV,
  data: [numbers(0, weight, port), target],
});

export function txtRecord(text: string): RecordBody {
  const bytes = Buffer.from(text);
  return { type: TYPE.TXT, data: [Buffer.from([bytes.length]), bytes] };
}

/** RFC 2308: `ttl`, the last number, is how long "no such name" holds. The serial changes with the records. */
export function soaRecord(zone: string, serial: number, ttl: number): RecordBody {
  const tail = Buffer.alloc(20);
  [serial >>> 0, 7200, 1800, 86_400, ttl].forEach((value, index) => {
    tail.writeUInt32BE(value, index * 4);
  });
  return { type: TYPE.SOA, data: [`ns.dns.${zone}`, `hostmaster.${zone}`, tail] };
}

/** What a PTR record of `address` stands at (RFC 1035 section 3.5, RFC 3596 section 2.5). */
export function reverseName(address: string): string {
  const bytes = [...addressBytes(address)];
  if (bytes.length === 4) return `${bytes.reverse().join(".")}.in-addr.arpa`;
  const digits = bytes.flatMap((byte) => [byte >> 4, byte & 15]).reverse();
  return `${digits.map((digit) => digit.toString(16)).join(".")}.ip6.arpa`;
}

/** What names an address in one label: `10-1-2-3`, `2001-db8--1`. */
export const dashed = (address: string): string => address.replaceAll(/[.:]/g, "-").replace(/^-/, "0-").replace(/-$/, "-0");

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  // The last 32 bits may be written as an IPv4 address.
  const text = address.replace(/[\d.]+\.[\d.]+$/, (v4) => {
    const [a, b, c, d] = v4.split(".").map(Number) as [number, number, number, number];
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = "", tail] = text.split("::");
  const groups = (part: string): number[] => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  return numbers(...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after);
}
