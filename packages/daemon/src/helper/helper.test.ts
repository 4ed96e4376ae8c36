import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hostsOwnerContract } from "@shipside/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, askDatagram, at, isRoot, leaf, lines, remoteOwner, socketsOf } from "./fixtures/as-the-daemon.ts";
import { type Scratch, scratch, startHelper, until } from "./fixtures/start-helper.ts";

describe.runIf(isRoot)("the helper", { timeout: 60_000 }, () => {
  it("is root with an empty environment; the daemon is the user; ps shows what it is", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    expect(helper.report).toEqual({ ready: true, helper: helper.pid, daemon: expect.any(Number), undone: [] });
    expect(await helper.call("id")).toMatchObject({ pid: helper.daemon, uid: 65534, groups: [65534] });
    expect(await readFile(`/proc/${helper.pid}/cmdline`, "latin1")).toMatch(/^shipside helper for nobody/);
    expect((await helper.call<{ env: string[] }>("id")).env).not.toContain("SECRET");
    expect(await helper.call("meet")).toBe(helper.pid);
  });

  it("hands over listening sockets, low ports included, that serve as the user", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    const before = await socketsOf(helper.pid);
    expect(await helper.call("listen", { address: at(7), port: 80 })).toEqual({ address: at(7), port: 80 });
    expect(await ask(at(7), 80)).toBe("uid 65534");
    await expect(helper.call("listen", { address: at(7), port: 80 })).rejects.toMatchObject({ code: "LISTEN_IN_USE" });
    await expect(helper.call("listen", { address: "127.0.0.1", port: 81 })).rejects.toMatchObject({ code: "LISTEN_FORBIDDEN" });
    expect(await socketsOf(helper.pid)).toBe(before);
    await helper.call("unlisten");
    await expect(ask(at(7), 80)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect((await place.log()).map(({ event }) => event)).toEqual(
      expect.arrayContaining(["start", "ready", "listen", "failed", "refused", "unlisten"]),
    );
  });

  it("hands over bound UDP sockets, low ports included, beside TCP ones of the same number", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    const before = await socketsOf(helper.pid);
    await helper.call("listen", { address: at(7), port: 53 });
    expect(await helper.call("bind", { address: at(7), port: 53 })).toEqual({ address: at(7), port: 53 });
    expect(await askDatagram(at(7), 53)).toBe("uid 65534: hello");
    await expect(helper.call("bind", { address: at(7), port: 53 })).rejects.toMatchObject({
      code: "LISTEN_IN_USE",
      message: expect.stringContaining(`${at(7)}:53/udp`),
    });
    await expect(helper.call("bind", { address: "127.0.0.1", port: 54 })).rejects.toMatchObject({ code: "LISTEN_FORBIDDEN" });
    expect(await socketsOf(helper.pid)).toBe(before);
    await helper.call("unlisten");
    expect(await askDatagram(at(7), 53)).toBe("ECONNREFUSED");
    expect(await ask(at(7), 53)).toBe("uid 65534");
    expect((await place.log()).map(({ event }) => event)).toEqual(expect.arrayContaining(["bind", "unbind"]));
  });

  it("takes no datagram itself: what reaches a socket before its owner is answered by its owner", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    await helper.call("meet");
    const answers = new Map<string, number>();
    for (let port = 60; port < 80; port++) {
      let over = false;
      const knock = async (): Promise<void> => {
        while (!over) {
          const answer = await askDatagram(at(8), port);
          answers.set(answer, (answers.get(answer) ?? 0) + 1);
        }
      };
      const knocking = [knock(), knock(), knock(), knock()];
      await helper.call("bind", { address: at(8), port });
      over = true;
      await Promise.all(knocking);
      for (const answer of answers.keys()) expect(["ECONNREFUSED", "uid 65534: hello"]).toContain(answer);
    }
    expect(answers.get("uid 65534: hello")).toBeGreaterThan(0);
  });

  it("takes no connection itself, whoever is waiting for the port", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    const answers = new Map<string, number>();
    let stop = false;
    const knock = async (): Promise<void> => {
      while (!stop) {
        const answer = await ask(at(8), 80).catch((error: { code: string }) => error.code);
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
      }
    };
    const knocking = [knock(), knock(), knock(), knock()];
    try {
      for (let round = 0; round < 20; round++) {
        await helper.call("listen", { address: at(8), port: 80 });
        if (round === 19) await until(() => (answers.get("uid 65534") ?? 0) > 20);
        else await helper.call("unlisten");
      }
    } finally {
      stop = true;
      await Promise.all(knocking);
    }
    // Reset: by the end of a listener with somebody in its queue. An empty answer would be the helper's.
    for (const answer of answers.keys()) expect(["uid 65534", "ECONNREFUSED", "ECONNRESET"]).toContain(answer);
  });

  it("keeps the contract of listener factories, from a process of another user", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place, { contract: true });
    const { cases, failed } = await helper.call<{ cases: number; failed: string[] }>("contract");
    expect(failed).toEqual([]);
    expect(cases).toBeGreaterThan(7);
  });

  it("undoes everything when it is told goodbye, and ends", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place);
    const hosts = await remoteOwner(helper);
    expect(await hosts.apply([leaf])).toMatchObject({ unchanged: false, conflicts: [] });
    expect(await place.readHosts()).toBe(place.original + lines("shipside-helper-65534", leaf));
    expect(JSON.parse((await place.ledger())!)).toEqual({ v: 1, hosts: true, aliases: [] });
    await helper.call("bye");
    expect(await place.readHosts()).toBe(place.original);
    expect(await place.ledger()).toBeUndefined();
    await helper.call("exit").catch(() => {});
    expect(await helper.exited).toEqual([0, null]);
  });

  it("lets one helper a user be, and says so", async () => {
    await using place = await scratch();
    await using _first = await startHelper(place);
    await using second = await startHelper(place);
    expect(second.report).toMatchObject({ error: { code: "HELPER_RUNNING" } });
    expect(await second.exited).toEqual([1, null]);
    await using other = await startHelper(place, { uid: 65533 });
    expect(other.report).toMatchObject({ ready: true });
  });

  it("passes on why the daemon did not come up", async () => {
    await using place = await scratch();
    const error = { code: "DAEMON_RUNNING", message: "one serves already", hint: "stop it" };
    await using helper = await startHelper(place, { word: { error: { ...error, more: "dropped" } } });
    expect(helper.report).toEqual({ error });
    expect(await helper.exited).toEqual([1, null]);
  });

  it("a daemon that says nothing before it ends: an error that says where to look", async () => {
    await using place = await scratch();
    await using helper = await startHelper(place, { word: null });
    expect(helper.report).toMatchObject({ error: { code: "HELPER_FAILED", hint: expect.stringContaining(place.dir) } });
    expect(await helper.exited).toEqual([1, null]);
  });

  it("refuses a ledger's folder that others could write", async () => {
    await using place = await scratch();
    await mkdir(join(place.dir, "ledger"));
    await chmod(join(place.dir, "ledger"), 0o777);
    await using helper = await startHelper(place);
    expect(helper.report).toMatchObject({ error: { code: "HELPER_FAILED", hint: expect.stringContaining("sudo rm") } });
  });
});

describe.runIf(isRoot)("a hosts owner whose file the helper writes", { timeout: 60_000 }, () => {
  let place: Scratch;
  const helpers = new Map<string, Awaited<ReturnType<typeof startHelper>>>();
  beforeAll(async () => {
    place = await scratch("127.0.0.1 localhost\r\n10.0.0.1 mine");
  });
  afterAll(async () => {
    for (const helper of helpers.values()) await helper[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });
  const uids: Record<string, number> = { first: 65534, second: 65533 };
  const cases = hostsOwnerContract({
    async open() {
      await writeFile(place.hosts, place.original);
      return {
        async owner(name) {
          const helper = helpers.get(name) ?? (await startHelper(place, { uid: uids[name]! }));
          helpers.set(name, helper);
          return remoteOwner(helper);
        },
        async lookup(name) {
          const all = (await place.readHosts()).split(/\r?\n/).map((line) => line.replace(/#.*/, "").trim().split(/\s+/));
          return all.flatMap(([address = "", ...names]) => (names.includes(name) ? [address] : []));
        },
        read: () => readFile(place.hosts),
        async [Symbol.asyncDispose]() {},
      };
    },
  });
  for (const { name, run } of cases) it(name, run);

  it("leaves names of the machine's own alone", async () => {
    const owner = await remoteOwner(helpers.get("first")!);
    const { conflicts, added } = await owner.apply([{ address: "127.72.0.9", names: ["localhost", "leaf"] }]);
    expect(conflicts).toEqual([{ name: "localhost", ours: "127.72.0.9", theirs: "127.0.0.1", line: 1 }]);
    expect(added).toEqual(["127.72.0.9 leaf # shipside:shipside-helper-65534"]);
    await owner.close();
    expect(await place.readHosts()).toBe(place.original);
  });
});

it("has no say for argv or stdin beyond what it takes", async () => {
  const { parseHelperArgs, readStart } = await import("./start.ts");
  const { Readable } = await import("node:stream");
  expect(parseHelperArgs(["--uid", "1000", "--gid", "100", "--installed"], 0)).toEqual({ uid: 1000, gid: 100, installed: true });
  for (const args of [
    [],
    ["--uid", "1000"],
    ["--gid", "1", "--uid", "1"],
    ["--uid", "-1", "--gid", "1"],
    ["--uid", "4294967295", "--gid", "1"],
    ["--uid", "01", "--gid", "1"],
    ["--uid", "1", "--gid", "1", "--root", "/tmp"],
    ["--uid", "1", "--gid", "1", "--installed", "x"],
  ])
    expect(() => parseHelperArgs(args, 0)).toThrow(expect.objectContaining({ code: "HELPER_FAILED" }));
  expect(() => parseHelperArgs(["--uid", "1", "--gid", "1"], 1000)).toThrow(/must run as root/);

  expect(await readStart(Readable.from([Buffer.from('{"env":{"A"'), Buffer.from(':"1"}}\nrest')]))).toEqual({ env: { A: "1" } });
  expect(await readStart(Readable.from([]))).toEqual({});
  for (const line of ["no", "[]", "null", "7", `{"a":"${"x".repeat(1024 * 1024)}"}`])
    await expect(readStart(Readable.from([Buffer.from(`${line}\n`)]))).rejects.toMatchObject({ code: "HELPER_FAILED" });
  await expect(readStart(new Readable({ read() {} }), 20)).rejects.toMatchObject({ code: "HELPER_FAILED" });
});
