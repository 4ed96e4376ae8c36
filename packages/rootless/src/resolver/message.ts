import { malformed, NameWriter, readName } from "./name.ts";

/** DNS messages in wire form (RFC 1035 section 4.1), and as data. */

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;

export const IN = 1;

/** Bits of the second 16 of the header. */
export const FLAG = {
  RESPONSE: 0x8000,
  AUTHORITATIVE: 0x0400,
  TRUNCATED: 0x0200,
  RECURSION_DESIRED: 0x0100,
  RECURSION_AVAILABLE: 0x0080,
};

export const opcodeOf = (flags: number): number => (flags >> 11) & 15;

export interface Question {
  name: string;
  type: number;
  class: number;
}

export interface ResourceRecord extends Question {
  /** Seconds. */
  ttl: number;
  data: RecordData;
}

/** What a record says, in order: a string is a domain name, all else is bytes. */
export type RecordData = readonly (string | Buffer)[];

export interface Message {
  id: number;
  flags: number;
  questions: readonly Question[];
  answers: readonly ResourceRecord[];
  authorities: readonly ResourceRecord[];
  additionals: readonly ResourceRecord[];
}

/** Where names stand in the data of types that may compress them (RFC 3597 section 4), and of SRV: a number is that many bytes. */
const LAYOUT: Readonly<Record<number, readonly (number | "name")[]>> = {
  [TYPE.NS]: ["name"],
  [TYPE.CNAME]: ["name"],
  [TYPE.PTR]: ["name"],
  [TYPE.SOA]: ["name", "name", 20],
  [TYPE.MX]: [2, "name"],
  [TYPE.SRV]: [6, "name"],
};

const HEADER = 12;

/** Throws where `bytes` is not a whole message. What follows its end is left unread. */
export function readMessage(bytes: Buffer): Message {
  if (bytes.length < HEADER) throw malformed("shorter than a header");
  let at = HEADER;
  const take = (size: number): Buffer => {
    if (at + size > bytes.length) throw malformed("it ends within a record");
    return bytes.subarray(at, (at += size));
  };
  const takeName = (): string => {
    const { name, end } = readName(bytes, at);
    at = end;
    return name;
  };
  const takeQuestion = (): Question => {
    const name = takeName();
    const rest = take(4);
    return { name, type: rest.readUInt16BE(0), class: rest.readUInt16BE(2) };
  };
  const takeRecord = (): ResourceRecord => {
    const question = takeQuestion();
    const rest = take(6);
    const end = at + rest.readUInt16BE(4);
    const data: (string | Buffer)[] = [];
    for (const part of LAYOUT[question.type] ?? []) data.push(part === "name" ? takeName() : take(part));
    if (end < at) throw malformed("a record's data is shorter than its type's");
    if (end > at) data.push(take(end - at));
    return { ...question, ttl: rest.readUInt32BE(0), data };
  };
  // A count that lies ends at the end of the bytes: each round takes some.
  const many = <T>(count: number, one: () => T): T[] => {
    const all: T[] = [];
    for (let index = 0; index < count; index++) all.push(one());
    return all;
  };
  return {
    id: bytes.readUInt16BE(0),
    flags: bytes.readUInt16BE(2),
    questions: many(bytes.readUInt16BE(4), takeQuestion),
    answers: many(bytes.readUInt16BE(6), takeRecord),
    authorities: many(bytes.readUInt16BE(8), takeRecord),
    additionals: many(bytes.readUInt16BE(10), takeRecord),
  };
}

export function writeMessage(message: Message): Buffer {
  const header = Buffer.alloc(HEADER);
  const sections = [message.questions, message.answers, message.authorities, message.additionals];
  [message.id, message.flags, ...sections.map(({ length }) => length)].forEach((value, index) => {
    header.writeUInt16BE(value, index * 2);
  });
  const names = new NameWriter();
  const parts: Buffer[] = [header];
  let length = HEADER;
  const put = (bytes: Buffer): void => {
    parts.push(bytes);
    length += bytes.length;
  };
  const putQuestion = (question: Question): void => {
    put(names.write(question.name, length));
    put(numbers(question.type, question.class));
  };
  message.questions.forEach(putQuestion);
  for (const record of [...message.answers, ...message.authorities, ...message.additionals]) {
    putQuestion(record);
    const fixed = Buffer.alloc(6);
    fixed.writeUInt32BE(record.ttl, 0);
    put(fixed);
    const start = length;
    for (const part of record.data) {
      if (typeof part !== "string") put(part);
      // RFC 2782: the target of SRV is never compressed. It has a writer of its own, which has seen nothing yet.
      else put((record.type === TYPE.SRV ? new NameWriter() : names).write(part, length));
    }
    fixed.writeUInt16BE(length - start, 4);
  }
  return Buffer.concat(parts);
}

/** 16 bits each. */
export function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => {
    bytes.writeUInt16BE(value, index * 2);
  });
  return bytes;
}
