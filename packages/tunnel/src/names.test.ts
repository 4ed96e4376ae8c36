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

test("a service claims no name of the machine's own or of the internet, and no name that is none; its longer ones it has", () => {
  const namesOf = (service: string, namespace = "home", hostname?: string): string[] =>
    hostsEntriesOf([{ namespace, service, address: "127.72.0.1", ...(hostname !== undefined && { hostname }) }], "home").flatMap(
      ({ names }) => names,
    );
  expect(namesOf("localhost")).toEqual(["localhost.home", "localhost.home.svc", "localhost.home.svc.cluster.local"]);
  expect(namesOf("wpad")[0]).toBe("wpad.home");
  expect(namesOf("github", "com")).toEqual(["github.com.svc", "github.com.svc.cluster.local"]);
  expect(namesOf("com", "home", "github")).toEqual(["github.com.home", "github.com.home.svc", "github.com.home.svc.cluster.local"]);
  // What belongs to the cluster is named so in a pod, too.
  expect(namesOf("kubernetes", "default")[0]).toBe("kubernetes.default");
  for (const bad of ["a b", "a\n127.0.0.1 evil", "a\u001b[2J", "", "-a", "a".repeat(64), "a#b"]) {
    expect(namesOf(bad), bad).toEqual([]);
    expect(namesOf("good", "home", bad), bad).toEqual([]);
  }
});

test("of any names, only hosts file names come out, and each is below its service's own or is it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (service, hostname) => {
      const entries = hostsEntriesOf([{ namespace: "home", service, hostname, address: "127.72.0.1" }], "home");
      for (const { names } of entries) for (const name of names) expect(name).toMatch(/^[a-z0-9][a-z0-9.-]*$/i);
    }),
  );
});
