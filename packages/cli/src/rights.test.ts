import { expect, test } from "vitest";
import { COMMANDS } from "./cli.ts";
import { parse } from "./parse.ts";

/** What they show others have: the daemon asks the cluster with the rights of its sessions. */
const ASKS_NO_CLUSTER = ["status", "inspect", "logs", "hosts", "demo", "completion"];

// Each command's code is loaded: that takes its time on a busy machine.
test("every command that talks to a cluster tells what it needs there", { timeout: 60_000 }, async () => {
  for (const { name, load } of COMMANDS) {
    const { rights } = await load();
    expect([name, rights !== undefined]).toEqual([name, !ASKS_NO_CLUSTER.includes(name)]);
  }
});

test("run: as its teleport, what is intercepted and exposed, and the API server's address", { timeout: 60_000 }, async () => {
  const rights = async (line: string): Promise<string[]> => {
    const { spec, invocation } = await parse(line.split(" "));
    const [found] = (await (await spec.load()).rights?.(invocation)) ?? [];
    return found!.rules.flatMap(({ namespace, resource, verbs, names = [""] }) =>
      verbs.flatMap((verb) => names.map((name) => `${namespace}: ${verb} ${resource} ${name}`.trim())),
    );
  };
  const own = "default: get services kubernetes";
  expect(await rights("teleport namespace shop -k /none")).not.toContain(own);
  const run = await rights("run namespace shop -k /none");
  expect(run).toEqual(expect.arrayContaining([own, "shop: watch services", "shop: create pods/portforward"]));
  expect(run).not.toContain("shop: patch services web");
  const both = await rights("run namespace shop -k /none --intercept web:80 --expose hook:80");
  expect(both).toEqual(expect.arrayContaining([own, "shop: patch services web", "shop: create services"]));
});
