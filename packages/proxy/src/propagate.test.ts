import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const program = fileURLToPath(new URL("./fixtures/propagating-server.ts", import.meta.url));
const preload = new URL("./propagate.ts", import.meta.url).href;
const upstream = createServer(({ headers: { "x-shipside-intercept": intercept, baggage, "x-team": team } }, answer) =>
  answer.end(JSON.stringify({ intercept, baggage, team })),
);

beforeAll(() => once(upstream.listen(0, "127.0.0.1"), "listening"));
afterAll(() => void upstream.close());

/** A real process with the preload, and how to ask it. */
async function start(env: Record<string, string> = {}) {
  const port = (upstream.address() as { port: number }).port;
  const child = spawn(process.execPath, ["--import", preload, program], {
    env: { ...process.env, UPSTREAM: `http://127.0.0.1:${port}/`, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout!, "data");
  return {
    ask: async (headers: Record<string, string>): Promise<Array<Record<string, string>>> => {
      const answer = await fetch(`http://127.0.0.1:${Number(String(line))}/`, { headers });
      return (await answer.json()) as Array<Record<string, string>>;
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await once(child, "exit");
    },
  };
}

test("by http and fetch; what the program sets itself counts, and baggage is added to its own", async () => {
  await using server = await start();
  expect(await server.ask({ "x-shipside-intercept": "alice", baggage: "user=alice,t=1", "x-team": "a" })).toEqual([
    { intercept: "alice", baggage: "user=alice,t=1" },
    { intercept: "alice", baggage: "own=1,user=mine,t=1" },
    { intercept: "alice", baggage: "user=alice,t=1" },
    { intercept: "own", baggage: "own=1,user=alice,t=1" },
  ]);
});

test("requests at the same time, on kept-alive connections, don't see each other's", async () => {
  await using server = await start();
  const asked = Array.from({ length: 30 }, (_, i) => {
    const headers: Record<string, string> = i % 3 === 0 ? {} : { "x-shipside-intercept": `user-${i}` };
    return server.ask({ ...headers, "x-wait": String((i * 7) % 40) });
  });
  for (const [i, said] of (await Promise.all(asked)).entries()) {
    const intercept = i % 3 === 0 ? undefined : `user-${i}`;
    expect(said[0]!["intercept"], `request ${i}`).toBe(intercept);
    expect(said[2]!["intercept"], `request ${i}`).toBe(intercept);
  }
});

test("which headers is said by the environment", async () => {
  await using server = await start({ SHIPSIDE_PROPAGATE: "X-Team" });
  const [first] = await server.ask({ "x-shipside-intercept": "alice", "x-team": "a" });
  expect(first).toEqual({ team: "a" });
});
