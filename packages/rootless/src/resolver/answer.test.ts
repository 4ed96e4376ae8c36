import { expect, test } from "vitest";
import { judge, type Verdict, writeAnswer } from "./answer.ts";
import { clusterRecords } from "./cluster-records.ts";
import { SHOP } from "./fixtures/shop.ts";
import { FLAG, IN, type Message, RCODE, type ResourceRecord, readMessage, TYPE } from "./message.ts";

const zone = {
  name: "cluster.local",
  ttl: 5,
  serial: 1,
  turn: 0,
  records: clusterRecords({ zone: "cluster.local", services: SHOP, namespaces: ["quiet"], servers: ["10.96.0.10"] }),
};
const query = (name: string, type: number, more: Partial<Message> = {}): Message => ({
  id: 7,
  flags: FLAG.RECURSION_DESIRED,
  questions: [{ name, type, class: IN }],
  answers: [],
  authorities: [],
  additionals: [],
  ...more,
});
const ask = (name: string, type: keyof typeof TYPE, turn = 0): Verdict => judge(query(name, TYPE[type]), { ...zone, turn });

/** As dig shows it, without the class. */
function shown({ name, type, ttl, data }: ResourceRecord): string {
  const kind = Object.entries(TYPE).find(([, value]) => value === type)?.[0];
  const parts = data.map((part) => {
    if (typeof part === "string") return part;
    if (type === TYPE.A) return part.join(".");
    if (type === TYPE.SRV) return [0, 2, 4].map((at) => part.readUInt16BE(at)).join(" ");
    return part.toString(type === TYPE.TXT ? "latin1" : "hex");
  });
  return `${name} ${ttl} ${kind} ${parts.join(" ")}`;
}
const answers = (name: string, type: keyof typeof TYPE): string[] | string => {
  const verdict = ask(name, type);
  if (verdict.kind !== "answer") return verdict.kind;
  const { rcode, answers = [] } = verdict.answer;
  return rcode === 0 ? answers.map(shown) : Object.entries(RCODE).find(([, value]) => value === rcode)![0];
};

test("the specification's records of a service with a ClusterIP", () => {
  expect(answers("web.shop.svc.cluster.local", "A")).toEqual(["web.shop.svc.cluster.local 5 A 10.96.120.95"]);
  expect(answers("web.shop.svc.cluster.local", "AAAA")).toEqual([
    "web.shop.svc.cluster.local 5 AAAA fd00001000960000000000000000005f",
  ]);
  expect(answers("_http._tcp.web.shop.svc.cluster.local", "SRV")).toEqual([
    "_http._tcp.web.shop.svc.cluster.local 5 SRV 0 100 80 web.shop.svc.cluster.local",
  ]);
  expect(answers("_probe._udp.web.shop.svc.cluster.local", "SRV")).toEqual([
    "_probe._udp.web.shop.svc.cluster.local 5 SRV 0 100 80 web.shop.svc.cluster.local",
  ]);
  expect(answers("_probe._tcp.web.shop.svc.cluster.local", "SRV")).toBe("NXDOMAIN");
  expect(answers("95.120.96.10.in-addr.arpa", "PTR")).toEqual(["95.120.96.10.in-addr.arpa 5 PTR web.shop.svc.cluster.local"]);
  expect(answers("f.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa", "PTR")).toEqual([
    "f.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa 5 PTR web.shop.svc.cluster.local",
  ]);
});

test("the specification's records of a headless service", () => {
  expect(answers("db.shop.svc.cluster.local", "A")).toEqual(
    ["10.244.1.4", "10.244.2.4", "10.244.3.4"].map((address) => `db.shop.svc.cluster.local 5 A ${address}`),
  );
  expect(answers("db-1.db.shop.svc.cluster.local", "A")).toEqual(["db-1.db.shop.svc.cluster.local 5 A 10.244.2.4"]);
  expect(answers("10-244-3-4.db.shop.svc.cluster.local", "A")).toEqual(["10-244-3-4.db.shop.svc.cluster.local 5 A 10.244.3.4"]);
  expect(answers("_pg._tcp.db.shop.svc.cluster.local", "SRV")).toEqual(
    ["5432 db-0", "5432 db-1", "15432 10-244-3-4"].map(
      (target) => `_pg._tcp.db.shop.svc.cluster.local 5 SRV 0 33 ${target}.db.shop.svc.cluster.local`,
    ),
  );
  expect(answers("4.1.244.10.in-addr.arpa", "PTR")).toEqual(["4.1.244.10.in-addr.arpa 5 PTR db-0.db.shop.svc.cluster.local"]);
  // Without a hostname there is no name that the address must lead to.
  expect(answers("4.3.244.10.in-addr.arpa", "PTR")).toBe("pass");
});

test("as CoreDNS: all ports at the service's own name, and the pods behind a ClusterIP by their addresses", () => {
  expect(answers("web.shop.svc.cluster.local", "SRV")).toEqual(
    [80, 9000].map((port) => `web.shop.svc.cluster.local 5 SRV 0 50 ${port} web.shop.svc.cluster.local`),
  );
  expect(answers("db.shop.svc.cluster.local", "SRV")).toHaveLength(3);
  expect(answers("10-244-1-7.web.shop.svc.cluster.local", "A")).toEqual(["10-244-1-7.web.shop.svc.cluster.local 5 A 10.244.1.7"]);
});

test("a pod that stands in several slices has each record once", () => {
  const endpoints = ["10.244.0.1", "10.244.0.1", "fd00::1"].map((address) => ({ addresses: [address], hostname: "db-0" }));
  const services = [{ namespace: "shop", name: "db", ports: [{ name: "pg", port: 5432 }], endpoints }];
  const { find } = clusterRecords({ zone: "cluster.local", services, namespaces: [], servers: [] });
  const types = (name: string): number[] | undefined => find(name)?.map(({ type }) => type);
  expect(types("db-0.db.shop.svc.cluster.local")).toEqual([TYPE.A, TYPE.AAAA]);
  expect(types("db.shop.svc.cluster.local")).toEqual([TYPE.A, TYPE.AAAA, TYPE.SRV]);
  expect(types("_pg._tcp.db.shop.svc.cluster.local")).toEqual([TYPE.SRV]);
  expect(types("1.0.244.10.in-addr.arpa")).toEqual([TYPE.PTR]);
});

test("SRV comes with the addresses of its targets", () => {
  const verdict = ask("_http._tcp.web.shop.svc.cluster.local", "SRV");
  const more = verdict.kind === "answer" ? (verdict.answer.additionals ?? []) : [];
  expect(more.map(({ type }) => type)).toEqual([TYPE.A, TYPE.AAAA]);
  const all = ask("web.shop.svc.cluster.local", "SRV");
  expect(all.kind === "answer" && all.answer.additionals).toHaveLength(2);
});

test("the zone's own records", () => {
  expect(answers("dns-version.cluster.local", "TXT")).toEqual(["dns-version.cluster.local 28800 TXT \x05 1.1.0"]);
  expect(answers("cluster.local", "NS")).toEqual(["cluster.local 5 NS ns.dns.cluster.local"]);
  expect(answers("ns.dns.cluster.local", "A")).toEqual(["ns.dns.cluster.local 5 A 10.96.0.10"]);
  expect(answers("cluster.local", "SOA")).toHaveLength(1);
});

test("a pod by its address, in a namespace that there is", () => {
  expect(answers("10-1-2-3.shop.pod.cluster.local", "A")).toEqual(["10-1-2-3.shop.pod.cluster.local 5 A 10.1.2.3"]);
  expect(answers("10-1-2-3.shop.pod.cluster.local", "AAAA")).toEqual([]);
  expect(answers("fd00--7.shop.pod.cluster.local", "AAAA")).toHaveLength(1);
  expect(answers("10-1-2-3.nowhere.pod.cluster.local", "A")).toBe("NXDOMAIN");
  expect(answers("10-1-2-300.shop.pod.cluster.local", "A")).toBe("NXDOMAIN");
  expect(answers("x.10-1-2-3.shop.pod.cluster.local", "A")).toBe("NXDOMAIN");
});

test.each([
  "cluster.local",
  "svc.cluster.local",
  "pod.cluster.local",
  "shop.svc.cluster.local",
  "quiet.svc.cluster.local",
  "quiet.pod.cluster.local",
  "_tcp.web.shop.svc.cluster.local",
])("%s is there and has no address", (name) => {
  const verdict = ask(name, "A");
  expect(verdict).toMatchObject({ kind: "answer", answer: { rcode: RCODE.NOERROR, answers: [] } });
  const [soa] = verdict.kind === "answer" ? verdict.answer.authorities! : [];
  expect(soa).toMatchObject({ name: "cluster.local", type: TYPE.SOA, ttl: 5 });
  // How long that may be remembered: RFC 2308.
  expect((soa!.data[2] as Buffer).readUInt32BE(16)).toBe(5);
});

test.each([
  "nope.shop.svc.cluster.local",
  "web.nope.svc.cluster.local",
  "web.shop.cluster.local",
  "x.web.shop.svc.cluster.local",
  "web.shop.svc.cluster.local.shop.svc.cluster.local",
  "empty.shop.svc.cluster.local",
  "address.shop.svc.cluster.local",
])("there is no %s", (name) => {
  expect(ask(name, "A")).toMatchObject({
    answer: { rcode: RCODE.NXDOMAIN, authorities: [{ name: "cluster.local", type: TYPE.SOA }] },
  });
});

test("everything else is somebody else's", () => {
  for (const name of ["example.com", "local", "notcluster.local", "", "9.9.9.9.in-addr.arpa"])
    expect(ask(name, "A").kind).toBe("pass");
});

test("case means nothing, and comes back as it was asked", () => {
  expect(answers("WeB.ShOp.SVC.cluster.LOCAL", "A")).toEqual(["WeB.ShOp.SVC.cluster.LOCAL 5 A 10.96.120.95"]);
  const asked = query("WeB.ShOp.SVC.cluster.LOCAL", TYPE.SRV);
  const verdict = judge(asked, zone);
  const read = readMessage(writeAnswer(asked, verdict.kind === "answer" ? verdict.answer : { rcode: 2 }, "tcp"));
  expect(read.questions).toEqual(asked.questions);
  expect(read.answers[0]!.name).toBe("WeB.ShOp.SVC.cluster.LOCAL");
  expect(read.answers[0]!.data[1]).toBe("web.shop.svc.cluster.local");
});

test("another name is followed: within the cluster here, out of it elsewhere, in a circle not for ever", () => {
  expect(answers("alias.shop.svc.cluster.local", "A")).toEqual([
    "alias.shop.svc.cluster.local 5 CNAME web.shop.svc.cluster.local",
    "web.shop.svc.cluster.local 5 A 10.96.120.95",
  ]);
  expect(ask("mail.shop.svc.cluster.local", "A")).toMatchObject({ follow: "smtp.example.com" });
  expect(ask("mail.shop.svc.cluster.local", "CNAME")).not.toHaveProperty("follow");
  expect(answers("circle.shop.svc.cluster.local", "A")).toBe("SERVFAIL");
});

test("another name that leads out of what is known, and is reached in a way of its own, has the addresses of that way", () => {
  const named = (name: string, externalName: string) => ({ namespace: "shop", name, externalName, addresses: ["127.72.1.9"] });
  const services = [
    ...SHOP,
    named("far", "db.example.com"),
    named("near", "web.shop.svc.cluster.local"),
    named("hid", "x.y.svc.cluster.local"),
  ];
  const records = clusterRecords({ zone: "cluster.local", services, namespaces: [], servers: [] });
  const found = (name: string, type: keyof typeof TYPE): unknown => {
    const verdict = judge(query(name, TYPE[type]), { ...zone, records });
    return verdict.kind === "answer" ? [verdict.answer.answers!.map(shown), verdict.follow] : verdict.kind;
  };
  const far = "far.shop.svc.cluster.local 5 CNAME db.example.com";
  expect(found("far.shop.svc.cluster.local", "A")).toEqual([[far, "db.example.com 5 A 127.72.1.9"], undefined]);
  expect(found("far.shop.svc.cluster.local", "AAAA")).toEqual([[far], undefined]);
  expect(found("far.shop.svc.cluster.local", "CNAME")).toEqual([[far], undefined]);
  expect(found("far.shop.svc.cluster.local", "TXT")).toEqual([[far], "db.example.com"]);
  expect(found("db.example.com", "A")).toBe("pass");
  expect(found("near.shop.svc.cluster.local", "A")).toEqual([
    [expect.any(String), "web.shop.svc.cluster.local 5 A 10.96.120.95"],
    undefined,
  ]);
  expect(found("hid.shop.svc.cluster.local", "A")).toEqual([
    [expect.any(String), "x.y.svc.cluster.local 5 A 127.72.1.9"],
    undefined,
  ]);
});

test("clients that take the first address get each in turn", () => {
  const first = (turn: number): unknown => {
    const verdict = ask("db.shop.svc.cluster.local", "A", turn);
    return verdict.kind === "answer" && verdict.answer.answers![0]!.data[0];
  };
  expect(new Set([0, 1, 2].map((turn) => String(first(turn)))).size).toBe(3);
});

test("what is no plain query is told so, and an answer is not answered", () => {
  const rcode = (asked: Message): unknown => {
    const verdict = judge(asked, zone);
    return verdict.kind === "answer" ? verdict.answer.rcode : verdict.kind;
  };
  const web = "web.shop.svc.cluster.local";
  const opt = (version: number): ResourceRecord => ({ name: "", type: TYPE.OPT, class: 1232, ttl: version << 16, data: [] });
  expect(rcode(query(web, TYPE.A, { flags: FLAG.RESPONSE }))).toBe("ignore");
  expect(rcode(query(web, TYPE.A, { flags: 5 << 11 }))).toBe(RCODE.NOTIMP);
  expect(rcode(query(web, TYPE.A, { questions: [] }))).toBe(RCODE.FORMERR);
  expect(rcode(query(web, TYPE.A, { questions: [1, 3].map(() => ({ name: web, type: 1, class: 1 })) }))).toBe(RCODE.FORMERR);
  expect(rcode(query(web, TYPE.A, { questions: [{ name: web, type: 1, class: 3 }] }))).toBe(RCODE.REFUSED);
  expect(rcode(query(web, TYPE.AXFR))).toBe(RCODE.REFUSED);
  expect(rcode(query(web, TYPE.A, { additionals: [opt(1)] }))).toBe(RCODE.BADVERS);
  const bad = writeAnswer(query(web, TYPE.A, { additionals: [opt(1)] }), { rcode: RCODE.BADVERS }, "udp");
  expect(readMessage(bad)).toMatchObject({ additionals: [{ type: TYPE.OPT, ttl: 0x01000000 }] });
});

test("an answer over UDP has the size that the client takes", () => {
  const pods = Array.from({ length: 200 }, (_, index) => ({ addresses: [`10.244.${index}.1`] }));
  const records = clusterRecords({
    zone: "cluster.local",
    services: [{ namespace: "shop", name: "many", ports: [{ name: "http", port: 80 }], endpoints: pods }],
    namespaces: [],
    servers: [],
  });
  const sizes = (type: number, size?: number): [bytes: number, answers: number, truncated: boolean][] => {
    const option = size === undefined ? [] : [{ name: "", type: TYPE.OPT, class: size, ttl: 0, data: [] }];
    const asked = query("many.shop.svc.cluster.local", type, { additionals: option });
    const verdict = judge(asked, { ...zone, records });
    if (verdict.kind !== "answer") throw new Error(verdict.kind);
    return (["udp", "tcp"] as const).map((transport) => {
      const bytes = writeAnswer(asked, verdict.answer, transport);
      const read = readMessage(bytes);
      expect(read.additionals.some(({ type }) => type === TYPE.OPT)).toBe(size !== undefined);
      return [bytes.length, read.answers.length, (read.flags & FLAG.TRUNCATED) !== 0];
    });
  };
  expect(sizes(TYPE.A)).toEqual([
    [509, 29, true],
    [3245, 200, false],
  ]);
  expect(sizes(TYPE.A, 1232)[0]).toEqual([1224, 73, true]);
  expect(sizes(TYPE.A, 4096)[0]).toEqual([3256, 200, false]);
  // A client that says less than every client takes is taken to mean that.
  expect(sizes(TYPE.A, 100)[0]![1]).toBeGreaterThan(20);
  expect(sizes(TYPE.SRV, 1232)[1]![1]).toBe(200);
});
