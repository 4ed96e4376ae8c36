import fc from "fast-check";
import { expect, test } from "vitest";
import { hostPort, hostsEntriesOf, serviceKey } from "./names.ts";

test("the names by which the cluster knows a service; the short one at home only", () => {
  const entries = hostsEntriesOf(
    [
      { namespace: "other", service: "leaf", address: "127.72.0.2" },
      { namespace: "home", service: "leaf", address: "127.72.0.1" },
      { namespace: "home", service: "db", hostname: "db-0", address: "127.72.0.3" },
    ],
    "home",
  );
  expect(entries).toEqual([
    {
      address: "127.72.0.3",
      names: ["db-0.db", "db-0.db.home", "db-0.db.home.svc", "db-0.db.home.svc.cluster.local"],
    },
    { address: "127.72.0.1", names: ["leaf", "leaf.home", "leaf.home.svc", "leaf.home.svc.cluster.local"] },
    { address: "127.72.0.2", names: ["leaf.other", "leaf.other.svc", "leaf.other.svc.cluster.local"] },
  ]);
});

test("web.db is the pod web of the home service db before it is the service web of the namespace db", () => {
  const entries = hostsEntriesOf(
    [
      { namespace: "db", service: "web", address: "127.72.0.1" },
      { namespace: "home", service: "db", hostname: "web", address: "127.72.0.2" },
    ],
    "home",
  );
  expect(entries.filter(({ names }) => names.includes("web.db")).map(({ address }) => address)).toEqual(["127.72.0.2"]);
  expect(entries[1]?.names).toEqual(["web.db.svc", "web.db.svc.cluster.local"]);
});

test("no name comes twice, and the order of what is given changes nothing", () => {
  const name = fc.constantFrom("a", "b", "svc", "home");
  const address = fc.record(
    { namespace: name, service: name, address: fc.ipV4() },
    { requiredKeys: ["namespace", "service", "address"] },
  );
  const withPod = fc.record({ namespace: name, service: name, hostname: name, address: fc.ipV4() });
  const list = fc.uniqueArray(fc.oneof(address, withPod), {
    selector: (item) => `${item.namespace}/${item.service}/${"hostname" in item ? item.hostname : ""}`,
  });
  fc.assert(
    fc.property(list, (addresses) => {
      const entries = hostsEntriesOf(addresses, "home");
      const names = entries.flatMap((entry) => entry.names);
      expect(new Set(names).size).toBe(names.length);
      expect(hostsEntriesOf([...addresses].reverse(), "home")).toEqual(entries);
    }),
  );
});

test("all spellings of a service are one key", () => {
  for (const spelling of [
    "leaf",
    "leaf.home",
    "home/leaf",
    "leaf.home.svc",
    "leaf.home.svc.cluster.local",
    "leaf.home.svc.cluster.local.",
  ]) {
    expect(serviceKey(spelling, "home"), spelling).toBe("home/leaf");
  }
  expect(serviceKey("leaf.other", "home")).toBe("other/leaf");
});

test("IPv6 addresses are bracketed before a port", () => {
  expect(hostPort("::1", 80)).toBe("[::1]:80");
  expect(hostPort("127.0.0.1", 80)).toBe("127.0.0.1:80");
});
