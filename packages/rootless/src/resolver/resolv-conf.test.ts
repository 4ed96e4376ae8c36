import fc from "fast-check";
import { expect, test } from "vitest";
import { type PodDns, parseResolvConf, podResolvConf, renderResolvConf } from "./resolv-conf.ts";

const machine = { nameservers: ["192.0.2.53", "192.0.2.54"], searches: ["corp.example"], options: ["timeout:1", "rotate"] };
const text = (pod: Omit<PodDns, "namespace">): string =>
  renderResolvConf(podResolvConf({ pod: { namespace: "shop", ...pod }, nameservers: ["10.96.0.10"], machine }));

test("ClusterFirst: the cluster's server, its search list before the machine's, five dots", () => {
  const expected =
    "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver 10.96.0.10\noptions ndots:5\n";
  expect(text({})).toBe(expected);
  expect(text({ dnsPolicy: "ClusterFirst" })).toBe(expected);
  expect(text({ dnsPolicy: "ClusterFirstWithHostNet", hostNetwork: true })).toBe(expected);
});

test("Default, and ClusterFirst in the node's network: as the machine", () => {
  const expected = "search corp.example\nnameserver 192.0.2.53\nnameserver 192.0.2.54\noptions timeout:1 rotate\n";
  expect(text({ dnsPolicy: "Default" })).toBe(expected);
  expect(text({ hostNetwork: true })).toBe(expected);
});

test("None: what the pod's own configuration says, which must have a nameserver", () => {
  const dnsConfig = {
    nameservers: ["1.2.3.4"],
    searches: ["ns1.svc.example", "my.dns"],
    options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
  };
  expect(text({ dnsPolicy: "None", dnsConfig })).toBe("search ns1.svc.example my.dns\nnameserver 1.2.3.4\noptions ndots:2 edns0\n");
  expect(() => text({ dnsPolicy: "None" })).toThrow(expect.objectContaining({ code: "ROOTLESS_INVALID_OPTION" }));
});

test("the pod's own is added to the policy's, each once; its options win", () => {
  const dnsConfig = {
    nameservers: ["10.96.0.10", "1.2.3.4"],
    searches: ["svc.cluster.local", "more.example"],
    options: [{ name: "ndots", value: "1" }, { name: "use-vc" }, {}],
  };
  expect(text({ dnsConfig })).toBe(
    "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example more.example\nnameserver 10.96.0.10\nnameserver 1.2.3.4\noptions ndots:1 use-vc\n",
  );
});

test("limits: three nameservers, 32 searches of 253 characters, 2,048 in all", () => {
  const some = (count: number, size: number): string[] =>
    Array.from({ length: count }, (_, index) => String(index).padStart(size, "a"));
  const of = (searches: string[], nameservers: string[] = []): ReturnType<typeof podResolvConf> =>
    podResolvConf({ pod: { namespace: "shop", dnsConfig: { searches, nameservers } }, nameservers: ["10.96.0.10"] });
  expect(of([], ["1.1.1.1", "2.2.2.2", "3.3.3.3"]).nameservers).toEqual(["10.96.0.10", "1.1.1.1", "2.2.2.2"]);
  expect(of(some(40, 5)).searches).toHaveLength(32);
  expect(of(["a".repeat(254), "b".repeat(253)]).searches.slice(3)).toEqual(["b".repeat(253)]);
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 300, unit: fc.constantFrom("a", "b", ".") }), { maxLength: 50 }),
      (searches) => {
        const { searches: kept } = of(searches);
        expect(kept.slice(0, 3)).toEqual(["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
        expect(kept.join(" ").length).toBeLessThanOrEqual(2048);
        expect(kept.length).toBeLessThanOrEqual(32);
      },
    ),
  );
});

test("a machine's file is read as resolv.conf(5) says", () => {
  const read = parseResolvConf(
    "# a comment\n; another\ndomain old.example\nnameserver 127.0.0.53\n\tnameserver fe80::1%eth0 \noptions edns0 trust-ad\noptions edns0\nsearch corp.example. .\nnonsense\nnameserver\n",
  );
  expect(read).toEqual({
    nameservers: ["127.0.0.53", "fe80::1%eth0"],
    searches: ["corp.example", "."],
    options: ["edns0", "trust-ad"],
  });
  fc.assert(fc.property(fc.string(), (any) => void parseResolvConf(any)));
});

test("what is written is read back", () => {
  const word = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom(..."abc0") });
  const words = fc.uniqueArray(word, { maxLength: 5 });
  fc.assert(
    fc.property(words, words, words, (nameservers, searches, options) => {
      const conf = { nameservers, searches, options };
      expect(parseResolvConf(renderResolvConf(conf))).toEqual(conf);
    }),
  );
});
