import { expect, test } from "vitest";
import { createLostReplicas, type ReadyReplica } from "./lost-replica.ts";

const replica = (name: string, leased: boolean, wasLeased = true): ReadyReplica => ({ name, leased, wasLeased });

test("one that has been out of reach for 6 s while another was not is lost, once", () => {
  const { look } = createLostReplicas();
  const now = [replica("a", true), replica("b", false)];
  expect(look(now, 0)).toBeUndefined();
  expect(look(now, 5_999)).toBeUndefined();
  expect(look(now, 6_000)).toBe("b");
  expect(look(now, 8_000)).toBeUndefined();
});

test("out of reach is each for itself: what is linked in between begins anew", () => {
  const { look } = createLostReplicas();
  expect(look([replica("a", true), replica("b", false)], 0)).toBeUndefined();
  expect(look([replica("a", true), replica("b", true)], 4_000)).toBeUndefined();
  expect(look([replica("a", true), replica("b", false)], 5_000)).toBeUndefined();
  expect(look([replica("a", true), replica("b", false)], 10_999)).toBeUndefined();
  expect(look([replica("a", true), replica("b", false)], 11_000)).toBe("b");
});

test("where none is linked it is our way to the cluster that is lost; the time counts from when one is again", () => {
  const { look } = createLostReplicas();
  expect(look([replica("a", false), replica("b", false)], 0)).toBeUndefined();
  expect(look([replica("a", false), replica("b", false)], 30_000)).toBeUndefined();
  expect(look([replica("a", true), replica("b", false)], 31_000)).toBeUndefined();
  expect(look([replica("a", true), replica("b", false)], 37_000)).toBe("b");
});

test("one that never had our lease may just be starting, and a second one within a minute is another trouble", () => {
  const { look } = createLostReplicas();
  const fresh = [replica("a", true), replica("b", false, false)];
  expect(look(fresh, 0) ?? look(fresh, 60_000)).toBeUndefined();
  const late = (at: number) => look([replica("a", true), replica("c", false)], at);
  expect([late(0), late(6_000), late(20_000), late(65_999), late(66_000)]).toEqual([undefined, "c", undefined, undefined, "c"]);
});
