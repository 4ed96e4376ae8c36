import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import type { Redirections } from "./agent/redirect.ts";
import type { CallAgent } from "./agent-client.ts";
import { redirects } from "./redirects.ts";

const agent = (can: (asked: Redirections) => boolean = () => true) => {
  const asked: Redirections[] = [];
  const call = (async (_op: string, fields: Redirections) => {
    asked.push(fields);
    await turn();
    if (!can(fields)) throw new Error("no iptables here");
    return { result: {}, socket: undefined };
  }) as unknown as CallAgent;
  return { asked, call };
};
const tcp = (address: string, port: number) => ({ protocol: "tcp" as const, address, port });

it("each address has hidden ports of its own, from the first; a port is led to one place", async () => {
  const { call } = agent();
  const { claim } = redirects(call);
  const first = await claim(tcp("10.96.0.9", 80));
  const second = await claim(tcp("10.96.0.9", 81));
  expect([first?.port, second?.port]).toEqual([64_000, 64_001]);
  expect((await claim(tcp("10.96.0.10", 80)))?.port).toBe(64_000);
  expect((await claim({ ...tcp("10.96.0.9", 80), protocol: "udp" }))?.port).toBe(64_000);
  await expect(claim(tcp("10.96.0.9", 80))).rejects.toMatchObject({ code: "EADDRINUSE" });
  await first?.release();
  expect((await claim(tcp("10.96.0.9", 80)))?.port).toBe(64_000);
});

it("those that come together take few processes", async () => {
  const { asked, call } = agent();
  const { claim } = redirects(call);
  const claims = await Promise.all(Array.from({ length: 200 }, (_, i) => claim(tcp(`10.96.1.${i}`, 80))));
  await Promise.all(claims.map((one) => one!.lead()));
  expect(asked.map(({ rules }) => rules.length)).toEqual([0, 200]);
  await Promise.all(claims.map((one) => one!.release()));
  expect(asked.at(-1)).toMatchObject({ family: 4, action: "delete" });
  expect(asked).toHaveLength(3);
});

it("where the machine can't, and for what is the namespaces' own, nothing is hidden", async () => {
  const { asked, call } = agent(({ family }) => family === 6);
  const { claim } = redirects(call);
  expect([await claim(tcp("10.96.0.9", 80)), await claim(tcp("10.96.0.9", 81))]).toEqual([undefined, undefined]);
  expect(asked).toHaveLength(1);
  expect((await claim(tcp("fd00::9", 80)))?.port).toBe(64_000);
  for (const place of [tcp("127.0.0.1", 80), tcp("::1", 80), tcp("fd00::9", 0)]) expect(await claim(place)).toBeUndefined();
});
