import fc from "fast-check";
import { expect, test } from "vitest";
import { endpointsOf, targetNumbers } from "./endpoints.ts";
import { slice } from "./fixtures/objects.ts";

const brief = (list: ReturnType<typeof endpointsOf>): string[] =>
  list.map(({ pod, port, ready, draining }) => `${pod?.name}:${port} ${ready ? "ready" : draining ? "draining" : "unready"}`);

test("a named target port has the number that each slice says, matched by the service port's name", () => {
  const slices = [
    slice(
      "web",
      [
        { name: "http", port: 8080 },
        { name: "metrics", port: 9090 },
      ],
      [{ pod: "old" }],
      { name: "web-1" },
    ),
    slice(
      "web",
      [
        { name: "http", port: 8081 },
        { name: "metrics", port: 9090 },
      ],
      [{ pod: "new" }],
      { name: "web-2" },
    ),
  ];
  const found = endpointsOf(slices, { name: "http", port: 80, targetPort: "http" });
  expect(brief(found)).toEqual(["new:8081 ready", "old:8080 ready"]);
  expect(targetNumbers(found)).toEqual([8080, 8081]);
  expect(endpointsOf(slices, { name: "grpc", port: 81 })).toEqual([]);
});

test("TCP and UDP on the same name or number are told apart", () => {
  const slices = [
    slice(
      "dns",
      [
        { name: "dns", port: 53, protocol: "UDP" },
        { name: "dns-tcp", port: 53, protocol: "TCP" },
      ],
      [{ pod: "a" }],
    ),
  ];
  expect(endpointsOf(slices, { name: "dns", port: 53, protocol: "TCP" })).toEqual([]);
  expect(endpointsOf(slices, { name: "dns-tcp", port: 53, protocol: "TCP" })).toHaveLength(1);
});

test("conditions: absent means ready; terminating but serving drains", () => {
  const slices = [
    slice(
      "web",
      [{ port: 80 }],
      [
        { pod: "absent", conditions: {} },
        { pod: "draining", conditions: { ready: false, serving: true, terminating: true } },
        { pod: "dying", conditions: { ready: false, serving: false, terminating: true } },
        { pod: "starting", conditions: { ready: false } },
        { pod: "published", conditions: { ready: true, serving: false, terminating: false } },
      ],
    ),
  ];
  expect(brief(endpointsOf(slices, { port: 80 }))).toEqual([
    "absent:80 ready",
    "draining:80 draining",
    "dying:80 unready",
    "published:80 ready",
    "starting:80 unready",
  ]);
});

test("a pod of both address families, or in two slices while it moves, comes once, ready where one says so", () => {
  const slices = [
    slice("web", [{ port: 80 }], [{ pod: "a" }], { name: "six", addressType: "IPv6" }),
    slice("web", [{ port: 80 }], [{ pod: "a", conditions: { ready: false } }], { name: "stale" }),
    slice("web", [{ port: 80 }], [{ pod: "a" }], { name: "four" }),
  ];
  const found = endpointsOf(slices, { port: 80 });
  expect(brief(found)).toEqual(["a:80 ready"]);
  expect(found[0]?.address).toBe("10.244.0.2");
});

test("a pod made anew under its old name is another endpoint", () => {
  const key = (uid: string): string => endpointsOf([slice("db", [{ port: 1 }], [{ pod: "db-0", uid }])], { port: 1 })[0]!.key;
  expect(key("1")).not.toBe(key("2"));
});

test("null lists, endpoints without a pod and slices without a port number", () => {
  const base = slice("web", [], []);
  expect(endpointsOf([{ ...base, ports: null, endpoints: null }], { port: 80 })).toEqual([]);
  const manual = { ...base, ports: [{}], endpoints: [{ addresses: ["192.0.2.1"] }] };
  expect(endpointsOf([manual], { port: 80, targetPort: 8080 })).toEqual([
    { key: "address 192.0.2.1 :8080", address: "192.0.2.1", port: 8080, ready: true, draining: false },
  ]);
});

test("the order of slices and of endpoints changes nothing", () => {
  const pods = ["a", "b", "c", "d", "e"];
  const slices = pods.map((pod, at) =>
    slice("web", [{ port: 80 + (at % 2) }], [{ pod }, { pod: pods[(at + 1) % 5]!, conditions: { ready: at % 2 === 0 } }], {
      name: pod,
    }),
  );
  const expected = brief(endpointsOf(slices, { port: 80 }));
  fc.assert(
    fc.property(fc.shuffledSubarray(slices, { minLength: slices.length }), (shuffled) => {
      expect(brief(endpointsOf(shuffled, { port: 80 }))).toEqual(expected);
    }),
  );
});

test("a slice speaks for no pod of another namespace: whoever may write slices there would lead people who may forward to it", () => {
  const base = slice("web", [{ port: 80 }], []);
  const targetRef = { kind: "Pod", namespace: "kube-system", name: "etcd-0", uid: "1" };
  const [found] = endpointsOf([{ ...base, endpoints: [{ addresses: ["10.0.0.9"], targetRef }] }], { port: 80 });
  expect(found).toMatchObject({ address: "10.0.0.9" });
  expect(found).not.toHaveProperty("pod");
});
