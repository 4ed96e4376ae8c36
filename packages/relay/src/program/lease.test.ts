import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger } from "@shipside/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AcceptPort, Lease, Match } from "../protocol.ts";
import { createControl } from "./control.ts";
import { createLeases, type Leases } from "./lease.ts";

const accept: AcceptPort[] = [
  { port: 80, listen: 8080, protocol: "TCP", mode: "http" },
  { port: 5432, listen: 5432, protocol: "TCP", mode: "tcp" },
];
const user = (name: string): Match => ({ headers: [{ name: "x-user", value: name }] });
const lease = (id: string, match: Match = user(id), more: Partial<Lease> = {}): Lease => ({
  id,
  holder: `${id}@laptop`,
  ports: [80],
  match,
  holdMs: 0,
  ...more,
});
const request = (name: string) => ({ method: "GET", target: "/", values: (header: string) => (header === "x-user" ? [name] : []) });
const make = (aloneMs = 5_000, logger = silentLogger): Leases => createLeases({ accept, logger, aloneMs });

describe("leases", () => {
  test("several developers side by side, each with their own requests", async () => {
    await using leases = make();
    leases.linked("a-link");
    leases.put("a-link", "a", lease("a"));
    leases.put("b-link", "b", lease("b"));
    expect(leases.route(80, request("a")).lease).toMatchObject({ client: "a-link", connected: true });
    expect(leases.route(80, request("b")).lease).toMatchObject({ client: "b-link", connected: false });
    expect(leases.route(80, request("c"))).toEqual({ mirrors: [] });
    expect(leases.route(5432, request("a"))).toEqual({ mirrors: [] });
    expect(leases.list().map(({ id }) => id)).toEqual(["a", "b"]);
  });

  test("an overlap is refused with its holder, and taken over on request, which is logged", async () => {
    const said: string[] = [];
    await using leases = make(5_000, { ...silentLogger, warn: (message) => said.push(message) });
    leases.put("l1", "a", lease("a", { all: true }));
    const since = leases.get("a")!.since.toISOString();
    expect(() => leases.put("l2", "b", lease("b"))).toThrowError(
      expect.objectContaining({ code: "LEASE_TAKEN", details: { holder: "a@laptop", since, lease: "a" } }),
    );
    expect(leases.list()).toHaveLength(1);
    leases.put("l2", "b", lease("b"), { takeOver: true });
    expect(leases.list().map(({ id }) => id)).toEqual(["b"]);
    expect(said).toEqual(["b@laptop takes over from a@laptop"]);
    // Another port is nobody's business.
    leases.put("l1", "a", lease("a", { all: true }, { ports: [5432] }));
    expect(leases.whole(5432)?.lease.id).toBe("a");
    expect(leases.whole(80)).toBeUndefined();
  });

  test("one wish of one developer, opened twice: no conflict, the older is served while it is linked, the other after it", async () => {
    await using leases = make();
    const twice = { holder: "a@laptop", wish: "1" };
    for (const link of ["l1", "l2"]) leases.linked(link);
    for (const match of [user("a"), { all: true } as Match]) {
      leases.put("l1", "first", lease("first", match, twice));
      leases.put("l2", "second", lease("second", match, twice));
      const served = () =>
        [leases.route(80, request("a")).lease, ...(match.all ? [leases.whole(80)] : [])].map((each) => each?.lease.id);
      const all = (id: string) => (match.all ? [id, id] : [id]);
      expect(served()).toEqual(all("first"));
      leases.unlinked("l1");
      expect(served()).toEqual(all("second"));
      leases.linked("l1");
      expect(served()).toEqual(all("first"));
      leases.delete("first");
      expect(served()).toEqual(all("second"));
      // Who asks for something else of it, or is somebody else, has no part in it.
      const taken = expect.objectContaining({ code: "LEASE_TAKEN" });
      expect(() => leases.put("l1", "third", lease("third", match, { ...twice, wish: "2" }))).toThrowError(taken);
      expect(() => leases.put("l1", "third", lease("third", match, { ...twice, holder: "b@laptop" }))).toThrowError(taken);
      leases.delete("second");
    }
  });

  test("a mirror opened twice gets one copy", async () => {
    await using leases = make();
    leases.linked("l2");
    for (const [link, id] of [
      ["l1", "a"],
      ["l2", "b"],
      ["l2", "c"],
    ] as const)
      leases.put(link, id, lease(id, { all: true }, { mirror: true, ...(id !== "c" && { holder: "a@laptop", wish: "1" }) }));
    expect(leases.route(80, request("x")).mirrors.map((held) => held.lease.id)).toEqual(["b", "c"]);
  });

  test("a renewal keeps its age and counts, and moves to the link it came by; another holder's id is a conflict", async () => {
    await using leases = make();
    leases.put("l1", "a", lease("a"));
    const held = leases.get("a")!;
    held.requests = 3;
    leases.linked("l2");
    leases.put("l2", "a", lease("a", user("else")));
    expect(leases.get("a")).toBe(held);
    expect(held).toMatchObject({ client: "l2", connected: true, requests: 3 });
    expect(leases.route(80, request("a")).lease).toBeUndefined();
    expect(leases.route(80, request("else")).lease).toBe(held);
    expect(() => leases.put("l3", "a", lease("a", user("z"), { holder: "other@pc" }))).toThrowError(
      expect.objectContaining({ code: "LEASE_TAKEN" }),
    );
  });

  test("a lease lives for a while without its link, and no longer", async () => {
    await using leases = make(80);
    leases.linked("l1");
    leases.put("l1", "a", lease("a"));
    await sleep(160);
    expect(leases.count).toBe(1);
    leases.unlinked("l1");
    expect(leases.get("a")).toMatchObject({ connected: false });
    await sleep(30);
    leases.linked("l1");
    await sleep(160);
    expect(leases.get("a")).toMatchObject({ connected: true });
    leases.unlinked("l1");
    await sleep(160);
    expect(leases.count).toBe(0);
  });

  test("a mirror conflicts with nobody, and is besides", async () => {
    await using leases = make();
    leases.put("l1", "a", lease("a"));
    leases.put("l2", "m", lease("m", { all: true }, { mirror: true }));
    leases.put("l3", "b", lease("b"));
    const { lease: routed, mirrors } = leases.route(80, request("b"));
    expect([routed?.lease.id, mirrors.map((mirror) => mirror.lease.id)]).toEqual(["b", ["m"]]);
    expect(leases.whole(80)).toBeUndefined();
  });

  test.each([
    [undefined, "is not an object"],
    [{ ...lease("a"), id: "b" }, "its id"],
    [{ ...lease("a"), ports: [] }, "no port"],
    [{ ...lease("a"), ports: [81] }, "port 81 is not among"],
    [{ ...lease("a"), holder: 5 }, "holder"],
    [{ ...lease("a"), match: {} }, "says nothing"],
    [{ ...lease("a"), match: { headers: [{ name: "x" }] } }, "a header's value"],
    [{ ...lease("a"), match: { methods: Array.from({ length: 99 }, () => "GET") } }, "more than"],
    [{ ...lease("a"), holdMs: -1 }, "holdMs"],
    [{ ...lease("a"), holdMs: Number.NaN }, "holdMs"],
  ])("%# refuses what isn't a lease", async (input, why) => {
    await using leases = make();
    expect(() => leases.put("l1", "a", input)).toThrowError(
      expect.objectContaining({ code: "LEASE_INVALID", message: expect.stringContaining(why) }),
    );
    expect(leases.count).toBe(0);
  });

  test("any JSON is taken or refused with a code", async () => {
    await using leases = make();
    fc.assert(
      fc.property(fc.record({ match: fc.jsonValue(), ports: fc.jsonValue(), holdMs: fc.jsonValue() }), (given) => {
        try {
          leases.put("l1", "a", { ...lease("a"), ...given });
        } catch (error) {
          expect(["LEASE_INVALID", "RELAY_PATTERN"]).toContain((error as { code: string }).code);
        }
      }),
    );
  });
});

test("the control API", async () => {
  await using leases = make();
  let ended = 0;
  const control = createControl({ leases, status: () => ({ ready: true }) as never, checkTls: async () => {}, end: () => ended++ });
  const ask = (method: string, path: string, body?: unknown, query = "") =>
    control({ client: "l1", method, path, query: new URLSearchParams(query), body });
  expect(await ask("PUT", "/leases/a", lease("a"))).toMatchObject({ status: 200, body: { id: "a" } });
  expect(await ask("PUT", "/leases/b", lease("b", { all: true }))).toMatchObject({
    status: 409,
    body: { code: "LEASE_TAKEN", details: { holder: "a@laptop" } },
  });
  expect(await ask("PUT", "/leases/b", lease("b", { all: true }), "take-over")).toMatchObject({ status: 200 });
  expect(await ask("PUT", "/leases/c", { no: "lease" })).toMatchObject({ status: 400, body: { code: "LEASE_INVALID" } });
  expect(await ask("DELETE", "/leases/b")).toMatchObject({ status: 200 });
  expect(await ask("DELETE", "/leases/b")).toMatchObject({ status: 404 });
  expect(await ask("GET", "/status")).toEqual({ status: 200, body: { ready: true } });
  expect(await ask("GET", "/else")).toMatchObject({ status: 404 });
  expect(await ask("POST", "/end")).toMatchObject({ status: 202 });
  expect(ended).toBe(1);
});
