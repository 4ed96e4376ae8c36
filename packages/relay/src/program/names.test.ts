import { expect, test } from "vitest";
import { createNames } from "./names.ts";

/** A clock, and a server whose answers are given one by one. */
function rig() {
  let time = 0;
  const asked: Array<{ host: string; answer(addresses: string[]): Promise<void>; fail(): Promise<void> }> = [];
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  const names = createNames(
    (host) =>
      new Promise((resolve, reject) => {
        asked.push({
          host,
          answer(addresses) {
            resolve(addresses);
            return settle();
          },
          fail() {
            reject(Object.assign(new Error("again"), { code: "EAI_AGAIN" }));
            return settle();
          },
        });
      }),
    () => time,
  );
  return { names, asked, at: (ms: number) => void (time = ms) };
}

test("who ask at once share a question; then nobody asks for a second, and for half a minute nobody waits", async () => {
  const { names, asked, at } = rig();
  const first = [names.addresses("api"), names.addresses("api")];
  await asked[0]!.answer(["10.0.0.1"]);
  expect(await Promise.all(first)).toEqual([["10.0.0.1"], ["10.0.0.1"]]);
  at(999);
  expect(await names.addresses("api")).toEqual(["10.0.0.1"]);
  expect(asked).toHaveLength(1);
  at(1_000);
  expect(await names.addresses("api")).toEqual(["10.0.0.1"]);
  expect(await names.addresses("api")).toEqual(["10.0.0.1"]);
  expect(asked).toHaveLength(2);
  await asked[1]!.answer(["10.0.0.2"]);
  expect(await names.addresses("api")).toEqual(["10.0.0.2"]);

  at(31_000);
  const late = names.addresses("api");
  await asked[2]!.answer(["10.0.0.3"]);
  expect(await late).toEqual(["10.0.0.3"]);
});

test("a question that fails: the last answer counts, however old; without one the failure is told, and asked again", async () => {
  const { names, asked, at } = rig();
  const never = names.addresses("api");
  never.catch(() => {});
  await asked[0]!.fail();
  await expect(never).rejects.toMatchObject({ code: "EAI_AGAIN" });
  const found = names.addresses("api");
  await asked[1]!.answer(["10.0.0.1"]);
  expect(await found).toEqual(["10.0.0.1"]);
  at(3_600_000);
  const old = names.addresses("api");
  await asked[2]!.fail();
  expect(await old).toEqual(["10.0.0.1"]);
});

test("an address is its own, and a name is asked for as this machine does", async () => {
  const { names, asked } = rig();
  expect(await names.addresses("fd00::1")).toEqual(["fd00::1"]);
  expect(asked).toEqual([]);
  expect(await createNames().addresses("localhost")).toEqual(
    expect.arrayContaining([expect.stringMatching(/^(127\.0\.0\.1|::1)$/)]),
  );
});
