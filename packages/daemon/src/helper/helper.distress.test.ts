import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openHosts } from "@shipside/hosts";
import { describe, expect, it } from "vitest";
import { ask, at, isRoot, leaf, lines, remoteOwner, socketsOf } from "./fixtures/as-the-daemon.ts";
import type { FuzzResult } from "./fixtures/fuzz.ts";
import { scratch, startHelper, until } from "./fixtures/start-helper.ts";

const soak = process.env["SHIPSIDE_SOAK"] === "1";

describe.runIf(isRoot)("after a crash", { timeout: 60_000 }, () => {
  it("of the daemon, names and listeners are gone within a second, and the helper ends", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    const hosts = await remoteOwner(helper);
    await hosts.apply([leaf]);
    await helper.call("listen", { address: at(9), port: 80 });
    const began = performance.now();
    process.kill(helper.daemon, "SIGKILL");
    await until(async () => (await place.readHosts()) === place.original, 5_000);
    expect(await helper.exited).toEqual([1, null]);
    // A second, and some for a machine that has other things to do.
    expect(performance.now() - began).toBeLessThan(5_000);
    await expect(ask(at(9), 80)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(await place.ledger()).toBeUndefined();
    expect((await place.log()).at(-2)).toMatchObject({ event: "undone", what: "1 line of the hosts file" });
    expect((await place.log()).map(({ why }) => why)).toContain("the daemon ended with SIGKILL");
  });

  it("of the helper, the daemon notices and goes on; the next helper undoes what the ledger says", async () => {
    await using place = await scratch();
    {
      await using helper = await startHelper(place);
      const hosts = await remoteOwner(helper);
      await hosts.apply([leaf]);
      await helper.call("listen", { address: at(10), port: 80 });
      process.kill(helper.pid, "SIGKILL");
      await helper.exited;
      await until(() => helper.call<boolean>("ended"));
      await expect(helper.call("listen", { address: at(10), port: 81 })).rejects.toMatchObject({
        code: "LISTEN_FORBIDDEN",
        message: expect.stringContaining("has ended"),
      });
      await expect(hosts.apply([])).rejects.toMatchObject({ code: "HELPER_GONE" });
      await expect(hosts.restore()).rejects.toMatchObject({ code: "HELPER_GONE" });
      // What was made serves on: it is the daemon's own.
      expect(await ask(at(10), 80)).toBe("uid 65534");
      expect(await place.readHosts()).toContain("leaf");
    }
    await using next = await startHelper(place);
    expect(next.report).toMatchObject({ ready: true, undone: ["an earlier helper had left 1 line of the hosts file"] });
    expect(await place.readHosts()).toBe(place.original);
    expect(await place.ledger()).toBeUndefined();
  });

  it.each([
    ["cut", '{"v":1,"hosts":tr'],
    ["empty", ""],
    ["of another form", '{"v":1,"hosts":true,"aliases":["10.0.0.1"]}'],
    ["lost", undefined],
  ])("with a ledger that is %s, the lines are found by their owner, and that is said", async (what, damaged) => {
    await using place = await scratch();
    await writeFile(place.hosts, place.original + lines("shipside-helper-65534", leaf));
    await mkdir(join(place.dir, "ledger"), { mode: 0o700 });
    if (damaged !== undefined) await writeFile(join(place.dir, "ledger", "helper-65534.json"), damaged);
    await using helper = await startHelper(place);
    const { undone } = helper.report as { undone: string[] };
    expect(undone.at(-1)).toBe("an earlier helper had left 1 line of the hosts file");
    if (what !== "lost") expect(undone[0]).toContain("damaged");
    expect(await place.readHosts()).toBe(place.original);
    expect(await place.ledger()).toBeUndefined();
  });

  it("SIGTERM to the helper: the daemon closes first, all is undone, exit 0", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    await (await remoteOwner(helper)).apply([leaf]);
    helper.child.kill("SIGTERM");
    expect(await helper.exited).toEqual([0, null]);
    expect(await place.readHosts()).toBe(place.original);
    expect((await place.log()).map(({ event }) => event)).toContain("bye");
  });

  it("a daemon that lets go of the channel has no helper any more", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    await (await remoteOwner(helper)).apply([leaf]);
    await helper.call("letGo");
    expect(await helper.exited).toEqual([1, null]);
    expect(await place.readHosts()).toBe(place.original);
  });
});

describe.runIf(isRoot)("a daemon gone mad", { timeout: 60_000 }, () => {
  it.each([
    ["bytes that are no message", "\u0000\u0001 not json\n"],
    ["a word of Node's own", '{"cmd":"NODE_HANDLE_ACK"}\n'],
    ["a handle of no kind", '{"cmd":"NODE_HANDLE","type":"no such"}\n'],
  ])("that sends %s loses its helper, and everything is undone", async (_what, bytes) => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    await (await remoteOwner(helper)).apply([leaf]);
    // Node answers some of it in a way that ends the stand-in, with or without its answer.
    await helper.call("bytes", { text: bytes }).catch(() => {});
    // Node itself forgives some of these; what counts is that nothing was done, and that the end is in order.
    const still = await helper.call("meet").catch(() => undefined);
    if (still !== undefined) helper.child.kill("SIGTERM");
    await helper.exited;
    expect(await place.readHosts()).toBe(place.original);
    expect(await place.ledger()).toBeUndefined();
  });

  it("is refused, with a code, what isn't on the list; what comes with a socket; and a second word of its start", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    const answers = (await helper.call("answers", {
      messages: [
        { id: 1, op: "exec", command: "id" },
        { id: 2, op: "alias", address: "127.72.0.1" },
        { id: 3, op: "listen", address: "10.0.0.1", port: 80 },
        { id: 4, op: "listen", address: "127.72.0.1", port: 80, backlog: 1 },
        { id: 5, op: "hosts.apply", entries: [{ address: "127.72.0.1", names: ["localhost"] }] },
        { id: 6, op: "hosts.apply", path: "/etc/passwd", entries: [] },
        { id: 7, op: "unlisten", address: "127.72.0.1", port: 80 },
        { id: 8, op: "hosts.apply", entries: Array.from({ length: 9_000 }, () => leaf) },
        { ready: true },
        { error: { code: "X", message: "" } },
        "hello",
      ],
    })) as Array<{ id: number | null; error?: { code: string; message: string } }>;
    const codes = answers.map(({ id, error }) => `${id} ${error?.code}`).sort();
    expect(codes).toEqual([
      ...[1, 2, 3, 4, 5, 6, 7].map((id) => `${id} HELPER_REFUSED`),
      "8 HELPER_LIMIT",
      ...["null HELPER_REFUSED", "null HELPER_REFUSED", "null HELPER_REFUSED"],
    ]);
    await helper.call("sayWithSocket", { message: { id: 12, op: "hosts.restore" } });
    await until(async () => (await place.log()).some(({ why }) => why === "it came with a socket"));
    expect(await place.readHosts()).toBe(place.original);
  });

  it("that takes no answers is left", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    const text = `${JSON.stringify({ id: 1, op: "no such", more: "x".repeat(200) })}\n`;
    await helper.call("flood", { count: 400_000, text }).catch(() => {});
    await helper.exited;
    expect((await place.log()).map(({ why }) => String(why))).toContainEqual(expect.stringMatching(/takes no answers|ended with/));
    expect(await place.logSize()).toBeLessThan(1024 * 1024);
  });

  it.runIf(soak)("that sends a line without an end loses its helper before it takes all memory", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    await (await remoteOwner(helper)).apply([leaf]);
    await helper.call("flood", { count: 50_000_000, text: "x".repeat(1_000) }).catch(() => {});
    expect(await helper.exited).toEqual([1, null]);
    expect((await place.log()).map(({ why }) => why)).toContain("what the daemon sends takes too much memory");
    expect(await place.readHosts()).toBe(place.original);
  });

  const count = soak ? 1_000_000 : 20_000;
  it(
    `sends ${count} random and hostile requests: what may be is done, nothing else, and it lives`,
    async () => {
      await using place = await scratch();
      await using helper = await startHelper(place);
      const before = await socketsOf(helper.pid);
      const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 31);
      // A seed that found something is given again: FUZZ_SEED.
      const result = await helper.call<FuzzResult>("fuzz", { count, seed });
      expect(result, `seed ${seed}`).toMatchObject({ sent: count, answered: count, wrong: [] });
      for (const op of ["hello", "listen", "unlisten", "bind", "unbind", "hosts.apply", "hosts.restore"])
        expect(result.done[op]).toBeGreaterThan(0);
      // The hosts file is what the last change that was allowed makes of the original; the ledger says as much.
      const path = join(place.dir, "expected");
      await writeFile(path, place.original);
      const owner = await openHosts({ path, owner: "shipside-helper-65534" });
      await owner.apply(result.entries);
      expect(await place.readHosts()).toBe(await readFile(path, "latin1"));
      expect((await place.ledger()) !== undefined).toBe(result.entries.length > 0);
      expect(await socketsOf(helper.pid)).toBe(before);
      expect(await helper.call("meet")).toBe(helper.pid);
      expect(await place.logSize()).toBeLessThan(8 * 1024 * 1024);
      await helper.call("bye");
      expect(await place.readHosts()).toBe(place.original);
    },
    soak ? 60 * 60_000 : 90_000,
  );
});
