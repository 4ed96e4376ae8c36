import type { ClusterRecords } from "./cluster-records.ts";
import { ednsOf, ednsRecord, sizeOf } from "./edns.ts";
import { FLAG, IN, type Message, opcodeOf, RCODE, type ResourceRecord, TYPE, writeMessage } from "./message.ts";
import { isWithin, nameKey } from "./name.ts";
import { ownedBy, type RecordBody, soaRecord } from "./records.ts";

/** What a query calls for. Pure. */
export type Verdict =
  /** `follow`: the last CNAME leads out of the cluster, so this name's records, asked elsewhere, belong to the answer. */
  | { kind: "answer"; answer: Answer; follow?: string }
  /** Somebody else's name. */
  | { kind: "pass" }
  /** Not a query at all: no answer, or two servers could answer each other for ever. */
  | { kind: "ignore" };

export interface Answer {
  rcode: number;
  authoritative?: boolean;
  answers?: readonly ResourceRecord[];
  authorities?: readonly ResourceRecord[];
  additionals?: readonly ResourceRecord[];
}

export interface Zone {
  /** A key. */
  name: string;
  /** Seconds. */
  ttl: number;
  serial: number;
  records: ClusterRecords;
  /** Answers asked for: clients take the first address, so that each has its turn. */
  turn: number;
}

/** RFC 1034 bounds no chain of aliases; what is longer is a circle, or might as well be. */
const LONGEST_CHAIN = 8;

/** The version of the schema is the same for ever; the specification's example has this number of seconds. */
const VERSION_TTL = 28_800;

export function judge(query: Message, zone: Zone): Verdict {
  if (query.flags & FLAG.RESPONSE) return { kind: "ignore" };
  const refuse = (rcode: number): Verdict => ({ kind: "answer", answer: { rcode } });
  if (opcodeOf(query.flags) !== 0) return refuse(RCODE.NOTIMP);
  const [question, ...more] = query.questions;
  if (!question || more.length > 0) return refuse(RCODE.FORMERR);
  if ((ednsOf(query)?.version ?? 0) > 0) return refuse(RCODE.BADVERS);
  if (question.class !== IN || question.type === TYPE.AXFR || question.type === TYPE.IXFR) return refuse(RCODE.REFUSED);

  const soa = (name: string): ResourceRecord => {
    const apex = isWithin(nameKey(name), zone.name) ? zone.name : nameKey(name).replace(/^.*\.(?=(?:in-addr|ip6)\.arpa$)/, "");
    return ownedBy(apex, zone.ttl, soaRecord(zone.name, zone.serial, zone.ttl));
  };
  const ours = (rcode: number, rest: Omit<Answer, "rcode">): Answer => ({ rcode, authoritative: true, ...rest });
  const answers: ResourceRecord[] = [];
  let name = question.name;
  const forAddress = question.type === TYPE.A || question.type === TYPE.AAAA || question.type === TYPE.ANY;
  let reached: readonly RecordBody[] | undefined;
  for (;;) {
    const key = nameKey(name);
    const found = zone.records.find(key) ?? reached;
    if (!found && !isWithin(key, zone.name)) {
      if (answers.length === 0) return { kind: "pass" };
      return { kind: "answer", answer: ours(RCODE.NOERROR, { answers }), follow: name };
    }
    if (!found) return { kind: "answer", answer: ours(RCODE.NXDOMAIN, { answers, authorities: [soa(name)] }) };
    const all = key === zone.name ? [...found, soaRecord(zone.name, zone.serial, zone.ttl)] : found;
    const ttl = key === `dns-version.${zone.name}` ? VERSION_TTL : zone.ttl;
    const wanted = rotated(
      all.filter(({ type }) => type === question.type || question.type === TYPE.ANY),
      zone.turn,
    );
    if (wanted.length > 0) {
      answers.push(...wanted.map((record) => ownedBy(name, ttl, record)));
      const additionals = wanted.flatMap(({ type, data }) => (type === TYPE.SRV ? addressesOf(zone, data[1]) : []));
      return { kind: "answer", answer: ours(RCODE.NOERROR, { answers, additionals: distinct(additionals) }) };
    }
    const alias = all.find(({ type }) => type === TYPE.CNAME);
    if (!alias) return { kind: "answer", answer: ours(RCODE.NOERROR, { answers, authorities: [soa(name)] }) };
    if (answers.length === LONGEST_CHAIN) return refuse(RCODE.SERVFAIL);
    answers.push(ownedBy(name, ttl, alias));
    reached = forAddress ? alias.reached : undefined;
    name = alias.data[0] as string;
  }
}

const rotated = <T>(all: readonly T[], turn: number): T[] => {
  const at = all.length > 0 ? turn % all.length : 0;
  return [...all.slice(at), ...all.slice(0, at)];
};

function addressesOf({ records, ttl }: Zone, name: string | Buffer | undefined): ResourceRecord[] {
  if (typeof name !== "string") return [];
  const found = records.find(nameKey(name)) ?? [];
  return found.filter(({ type }) => type === TYPE.A || type === TYPE.AAAA).map((record) => ownedBy(name, ttl, record));
}

/** A target that has several ports is one name all the same. */
function distinct(records: readonly ResourceRecord[]): ResourceRecord[] {
  return [
    ...new Map(records.map((record) => [`${nameKey(record.name)} ${(record.data[0] as Buffer).toString("hex")}`, record])).values(),
  ];
}

/** What was asked elsewhere for the end of a chain of aliases, as part of the answer to the whole: RFC 6604 says whose code it has. */
export function joined(answer: Answer, followed: Message): Answer {
  return {
    rcode: followed.flags & 15,
    answers: [...(answer.answers ?? []), ...followed.answers],
    authorities: followed.authorities,
  };
}

/**
 * The bytes of an answer. Over UDP in what the client takes: first what it may do without goes, then the rest with a flag that sends it to
 * TCP (RFC 2181 section 9).
 */
export function writeAnswer(query: Message, answer: Answer, transport: "udp" | "tcp"): Buffer {
  const edns = ednsOf(query);
  const limit = transport === "udp" ? sizeOf(edns) : 0xffff;
  const option = edns ? [ednsRecord(answer.rcode)] : [];
  const write = ({ answers = [], authorities = [], additionals = [] }: Partial<Answer>, flags = 0): Buffer =>
    writeMessage({
      id: query.id,
      flags:
        FLAG.RESPONSE |
        FLAG.RECURSION_AVAILABLE |
        (query.flags & (FLAG.RECURSION_DESIRED | 0x7800)) |
        (answer.authoritative ? FLAG.AUTHORITATIVE : 0) |
        (answer.rcode & 15) |
        flags,
      questions: query.questions,
      answers,
      authorities,
      additionals: [...additionals, ...option],
    });
  const whole = write(answer);
  if (whole.length <= limit) return whole;
  const needed = write({ ...answer, additionals: [] });
  if (needed.length <= limit) return needed;
  // As many as there is room for: some clients never ask again over TCP, and make do with them.
  const all = answer.answers ?? [];
  let [fits, tooMany] = [0, all.length];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    if (write({ answers: all.slice(0, middle) }, FLAG.TRUNCATED).length <= limit) fits = middle;
    else tooMany = middle;
  }
  return write({ answers: all.slice(0, fits) }, FLAG.TRUNCATED);
}
