import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lo0Aliases } from "./aliases.ts";
import { openAudit } from "./audit.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import { type HelperAnswer, LIMITS } from "./requests.ts";
import { serveRequests } from "./serve.ts";
import type { HandedSocket } from "./sockets.ts";
import { openMachine, undoAll } from "./undo.ts";

let dir: string;
let ledger: Ledger;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-serve-"));
  await writeFile(join(dir, "hosts"), "127.0.0.1 localhost\n");
  ledger = await openLedger(join(dir, "ledger"), 1000);
});
afterEach(async () => {
  await ledger.close();
  await rm(dir, { recursive: true });
});

/** A machine whose loopback interface has 127.0.0.1 alone, as macOS's. What is sent is taken at once, or never. */
function setUp(takes = true) {
  const present = new Set(["127.0.0.1", "127.72.0.9"]);
  const ran: string[] = [];
  const owedWhenRun: string[][] = [];
  const aliases = lo0Aliases(
    async (program, [, what = "", address = ""]) => {
      ran.push([program, what, address].join(" "));
      owedWhenRun.push(JSON.parse(await readFile(join(dir, "ledger", "helper-1000.json"), "utf8")).aliases);
      if (what === "alias") present.add(address);
      else present.delete(address);
    },
    () => [...present].map((address) => ({ address })),
  );
  const audit = openAudit({ path: join(dir, "log"), base: {} });
  const machine = openMachine({ ledger, aliases, audit, uid: 1000, hostsPath: join(dir, "hosts") });
  const answers: HelperAnswer[] = [];
  const servers: HandedSocket[] = [];
  const broken: string[] = [];
  const requests = serveRequests({
    machine,
    send(answer, server, sent) {
      answers.push(answer);
      if (server) servers.push(server);
      if (takes) sent();
    },
    onWord: () => {},
    onBye: () => {},
    onBroken: (why) => broken.push(why),
  });
  const ask = async (...messages: object[]): Promise<HelperAnswer[]> => {
    const from = answers.length;
    for (const message of messages) requests.receive(message, undefined);
    for (let i = 0; i < 500 && answers.length < from + messages.length; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    return answers.slice(from);
  };
  return { machine, requests, ask, present, ran, owedWhenRun, broken, servers };
}

test("an address that is missing is added before, on record, and taken away with its last listener", async () => {
  const { ask, ran, owedWhenRun } = setUp();
  const listen = { op: "listen", address: "127.72.0.1", port: 0 };
  const made = (await ask({ id: 1, ...listen }, { id: 2, ...listen })) as Array<{ result: { port: number } }>;
  expect(ran).toEqual(["/sbin/ifconfig alias 127.72.0.1"]);
  expect(owedWhenRun).toEqual([["127.72.0.1"]]);
  const [first, second] = made.map(({ result }) => ({ op: "unlisten", address: "127.72.0.1", port: result.port }));
  await ask({ id: 3, ...first });
  expect(ran).toHaveLength(1);
  await ask({ id: 4, ...second });
  expect(ran.at(-1)).toBe("/sbin/ifconfig -alias 127.72.0.1");
  expect(ledger.owed.aliases).toEqual([]);
});

test("an address that was there before is nobody's to take away; what is owed is undone", async () => {
  const { ask, ran, machine, present } = setUp();
  await ask({ id: 1, op: "listen", address: "127.72.0.9", port: 0 });
  expect(ran).toEqual([]);
  await ask({ id: 2, op: "listen", address: "127.72.0.1", port: 0 });
  expect((await undoAll(machine)).done).toEqual(["the address 127.72.0.1"]);
  expect([...present]).toEqual(["127.0.0.1", "127.72.0.9"]);
  expect((await undoAll(machine)).done).toEqual([]);
});

test("sockets that nobody takes are bounded, and so are answers and requests that wait", async () => {
  const { ask, requests, broken, servers } = setUp(false);
  const many = Array.from({ length: LIMITS.handing + 5 }, (_, n) => ({ id: n + 1, op: "listen", address: "127.72.0.9", port: 0 }));
  const answers = await ask(...many);
  expect(answers.filter((answer) => "error" in answer && answer.error.code === "HELPER_LIMIT")).toHaveLength(5);
  expect(servers).toHaveLength(LIMITS.handing);
  for (const server of servers) server.close();
  const busy = await ask(...Array.from({ length: LIMITS.waiting + 10 }, (_, n) => ({ id: n + 1, op: "hello" })));
  expect(busy.filter((answer) => "error" in answer && answer.error.code === "HELPER_LIMIT")).toHaveLength(10);
  expect(broken).toEqual([]);
  for (let i = 0; i < LIMITS.unsent; i++) requests.receive("nonsense", undefined);
  expect(broken[0]).toContain("takes no answers");
});

test("nothing is begun once it ends, and what was begun is done before", async () => {
  const { ask, requests } = setUp();
  const entries = [{ address: "127.72.0.1", names: ["leaf"] }];
  const pending = ask({ id: 1, op: "hosts.apply", entries }, { id: 2, op: "hosts.apply", entries: [] });
  await requests.stop();
  for (const answer of await pending) expect(answer).toMatchObject({ error: { code: "HELPER_REFUSED" } });
  expect(await readFile(join(dir, "hosts"), "utf8")).toBe("127.0.0.1 localhost\n");
});

test("a hosts file that is gone: nothing to undo, and a code for who wants names", async () => {
  const { ask, machine } = setUp();
  await rm(join(dir, "hosts"));
  const entries = [{ address: "127.72.0.1", names: ["leaf"] }];
  expect(await ask({ id: 1, op: "hosts.apply", entries })).toMatchObject([{ error: { code: "HOSTS_MISSING" } }]);
  expect(await undoAll(machine)).toEqual({ done: [], failed: [] });
  await writeFile(join(dir, "hosts"), "");
  expect(await ask({ id: 2, op: "hosts.apply", entries })).toMatchObject([{ result: { unchanged: false } }]);
});
