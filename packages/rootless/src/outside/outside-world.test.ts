import { describe, expect, test } from "vitest";
import { canHaveMachine, has, runThere } from "./fixtures/machine.ts";

describe.runIf(canHaveMachine)("the outside world, for a user without any right", () => {
  const common = {
    user: expect.any(Number),
    world: "world GET /a?b=c 0 -",
    put: "world PUT /put 5 yes",
    node: "world GET /node 0 -",
    cluster: "cluster",
    hostPort: ["localhost GET / 0 -", "localhost GET / 0 -"],
    forbidden: expect.not.arrayContaining([expect.stringContaining("localhost GET")]),
    ended: "closed",
    closed: expect.stringMatching(/^curl: /),
    left: [],
  };

  test.runIf(has("pasta"))("by pasta", { timeout: 60_000 }, async () => {
    const got = await runThere("inside.ts", ["pasta"]);
    expect(got).toMatchObject({ ...common, kind: "pasta", env: {}, datagram: "world ping" });
  });

  test.runIf(has("slirp4netns"))("by slirp4netns", { timeout: 60_000 }, async () => {
    const got = await runThere("inside.ts", ["slirp4netns"]);
    expect(got).toMatchObject({ ...common, kind: "slirp4netns", env: {}, datagram: "world ping" });
  });
});
