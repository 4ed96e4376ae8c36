import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { canHaveMachine, has, runThere } from "./fixtures/machine.ts";

/** Where Node is, it mostly is; where npm is a package of its own, it may not be. */
const hasNpm = (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(`${folder}/npm`));

describe.runIf(canHaveMachine)("the outside world, for a user without any right", () => {
  const common = {
    user: expect.any(Number),
    world: "world GET /a?b=c 0 -",
    put: "world PUT /put 5 yes",
    node: "world GET /node 0 -",
    ...(hasNpm && { npm: "tiny as can be" }),
    cluster: "cluster",
    hostPort: ["localhost GET / 0 -", "localhost GET / 0 -"],
    forbidden: expect.not.arrayContaining([expect.stringContaining("localhost GET")]),
    without: [],
    ended: "closed",
    closed: expect.stringMatching(/^curl: /),
    left: [],
  };

  test.runIf(has("pasta"))("by pasta", { timeout: 120_000 }, async () => {
    const got = await runThere("inside.ts", ["pasta"]);
    expect(got).toMatchObject({ ...common, kind: "pasta", env: {}, datagram: "world ping" });
  });

  test.runIf(has("slirp4netns"))("by slirp4netns", { timeout: 120_000 }, async () => {
    const got = await runThere("inside.ts", ["slirp4netns"]);
    expect(got).toMatchObject({ ...common, kind: "slirp4netns", env: {}, datagram: "world ping" });
  });

  test("by the proxy, where no program can: HTTP, CONNECT, and nothing else", { timeout: 120_000 }, async () => {
    const got = await runThere("inside.ts", [], { tun: false });
    expect(got).toMatchObject({
      ...common,
      kind: "proxy",
      without: ["pasta", "slirp4netns"].map((kind) => [
        kind,
        has(kind) ? "ROOTLESS_OUTSIDE_FORBIDDEN" : "ROOTLESS_OUTSIDE_MISSING",
      ]),
      connect: "world GET /tunnel 0 -",
      datagram: "",
      forbidden: expect.arrayContaining([
        "127.0.0.1 is this machine's localhost, which is not reachable from in here",
        "sneaky.example is this machine's localhost, which is not reachable from in here",
        "curl: (56) CONNECT tunnel failed, response 403",
      ]),
    });
  });

  test.runIf(has("pasta"))("as root, too", { timeout: 120_000 }, async () => {
    const got = await runThere("inside.ts", [], { root: true });
    expect(got).toMatchObject({ ...common, user: 0, npm: false, kind: "pasta", datagram: "world ping" });
  });
});
