import { expect, it } from "vitest";
import { createCloser } from "./closer.ts";

it("undoes in reverse order, one at a time, once", async () => {
  const order: string[] = [];
  const closer = createCloser();
  const step = (name: string) => async () => {
    order.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 1));
    order.push(`${name} done`);
  };
  closer.defer(step("first"));
  closer.defer(step("second"));
  await Promise.all([closer.close(), closer.close(), closer[Symbol.asyncDispose]()]);
  expect(order).toEqual(["second begins", "second done", "first begins", "first done"]);
});

it("goes on past a step that fails, and throws what failed", async () => {
  let ran = false;
  const one = createCloser();
  one.defer(() => (ran = true));
  one.defer(() => Promise.reject(new Error("stuck")));
  await expect(one.close()).rejects.toThrow("stuck");
  expect(ran).toBe(true);

  const two = createCloser();
  two.defer(() => Promise.reject(new Error("a")));
  two.defer(() => {
    throw new Error("b");
  });
  const error = (await two.close().catch((e: unknown) => e)) as AggregateError;
  expect(error.errors.map((e: Error) => e.message)).toEqual(["b", "a"]);
});

it("runs a step early, and not again", async () => {
  let runs = 0;
  const closer = createCloser();
  const now = closer.defer(() => runs++);
  await Promise.all([now(), now()]);
  await closer.close();
  expect(runs).toBe(1);
});

it("undoes what is registered while closing before close() resolves, and at once after that", async () => {
  const order: string[] = [];
  const closer = createCloser();
  closer.defer(async () => {
    expect(closer.closing).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 1));
    closer.defer(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      order.push("late");
    });
  });
  await closer.close();
  expect(order).toEqual(["late"]);
  closer.defer(() => order.push("after"));
  expect(order).toEqual(["late", "after"]);
});

it("closes resources it was given", async () => {
  let closed = false;
  {
    await using closer = createCloser();
    expect(closer.use({ close: () => (closed = true), id: 7 }).id).toBe(7);
  }
  expect(closed).toBe(true);
});
