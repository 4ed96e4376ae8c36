import fc from "fast-check";
import { expect, test } from "vitest";
import { createStore } from "../memory-store.ts";
import { listPage } from "./list.ts";
import { BUILT_IN } from "./resources.ts";

const pods = BUILT_IN.find(({ key }) => key === "pods")!;
const world = (count = 0) => {
  const store = createStore({ history: 100 });
  const add = (name: string, app = "a") =>
    store.create("pods", { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default", labels: { app } } });
  for (let i = 0; i < count; i++) add(`p${String(i).padStart(3, "0")}`);
  const list = (query: Record<string, string> = {}) => listPage(store, pods, "default", new URLSearchParams(query));
  return { store, add, list };
};
const names = (page: { items: Array<{ metadata: { name: string } }> }) => page.items.map(({ metadata }) => metadata.name);

test("pages are of one version, whatever is written between them", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 7 }),
      fc.array(fc.record({ name: fc.nat(20), remove: fc.boolean() }), { maxLength: 15 }),
      (limit, writes) => {
        const { store, add, list } = world(12);
        const whole = list();
        const got: string[] = [];
        let token: string | undefined;
        do {
          const page = list({ limit: String(limit), ...(token !== undefined && { continue: token }) });
          expect(page.metadata.resourceVersion).toBe(whole.metadata.resourceVersion);
          got.push(...names(page));
          if (page.metadata.continue) expect(page.metadata.remainingItemCount).toBe(whole.items.length - got.length);
          token = page.metadata.continue;
          const write = writes.pop();
          if (!write) continue;
          const name = `p${String(write.name).padStart(3, "0")}`;
          if (write.remove) store.remove("pods", "default", name);
          else if (!store.get("pods", "default", name)) add(name);
        } while (token !== undefined);
        expect(got).toEqual(names(whole));
      },
    ),
  );
});

test("a token whose version is no longer kept is 410 Expired", () => {
  const { store, add, list } = world(3);
  const { metadata } = list({ limit: "1" });
  add("more");
  store.compact();
  expect(() => list({ limit: "1", continue: metadata.continue! })).toThrow(expect.objectContaining({ code: "Expired" }));
});

test("exactly an old version, not older than one, and one that isn't there yet", () => {
  const { store, add, list } = world(2);
  const old = String(store.revision);
  add("q");
  expect(names(list({ resourceVersion: old, resourceVersionMatch: "Exact" }))).toEqual(["p000", "p001"]);
  expect(names(list({ resourceVersion: old, resourceVersionMatch: "NotOlderThan" }))).toEqual(["p000", "p001", "q"]);
  expect(names(list({ resourceVersion: "0" }))).toHaveLength(3);
  expect(() => list({ resourceVersion: "99999" })).toThrow(
    expect.objectContaining({ status: expect.objectContaining({ code: 504 }) }),
  );
});

test("selectors apply before limits, and then nobody says how many remain", () => {
  const { add, list } = world(3);
  add("x1", "b");
  add("x2", "b");
  const page = list({ labelSelector: "app=b", limit: "1" });
  expect(names(page)).toEqual(["x1"]);
  expect(page.metadata.remainingItemCount).toBeUndefined();
  expect(names(list({ labelSelector: "app=b", limit: "1", continue: page.metadata.continue! }))).toEqual(["x2"]);
});

test.each([
  [{ continue: "nonsense" }, 400],
  [{ limit: "many" }, 400],
  [{ resourceVersion: "x" }, 400],
  [{ resourceVersionMatch: "Exact" }, 422],
  [{ resourceVersion: "1", resourceVersionMatch: "Nearly" }, 422],
  [{ resourceVersion: "0", resourceVersionMatch: "Exact" }, 422],
])("%j is refused with %i", (query, code) => {
  expect(() => world(1).list(query as Record<string, string>)).toThrow(
    expect.objectContaining({ status: expect.objectContaining({ code }) }),
  );
});
