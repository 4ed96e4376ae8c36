import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseMatch } from "@shipside/proxy";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { intercepts } from "./incoming.fixture.ts";
import { API, type Asked, onEmbedded, openShop, SHOP, type Shop } from "./load.fixture.ts";

// What a Service under load sees of the processes on the developers' machines: that they start again, that they hang, that they are gone.

let shop: Shop;
let before: unknown;
const processes = new Set<LocalProcess>();
const original = { app: API, tier: "back" };

beforeAll(async () => {
  shop = await openShop();
  before = shop.objects();
}, 150_000);
afterAll(() => shop?.[Symbol.asyncDispose]());
afterEach(async () => {
  await developers.close();
  await Promise.all([...processes].map((each) => each.kill()));
  await expect.poll(shop.relayPods, { timeout: 45_000 }).toEqual([]);
  expect(shop.selector()).toEqual(original);
  expect(shop.objects()).toEqual(before);
}, 90_000);

const developers = intercepts(() => ({ cluster: shop.cluster, service: API, match: { all: true } }));
const flagged = (user: string) => parseMatch({ headers: [`x-user: ${user}`] }, { user, key: user });

interface LocalProcess {
  readonly port: number;
  /** What it was asked: method and path. */
  readonly asked: readonly string[];
  /** SIGSTOP: it accepts, and neither reads nor answers. */
  freeze(): void;
  /** SIGKILL. Resolves when it has ended. */
  kill(): Promise<void>;
}

/** A process that answers its name to everything, on the port of one that it follows where that is given. */
async function startLocal(name: string, port = 0): Promise<LocalProcess> {
  const program = `require("node:http").createServer((q, s) => { console.log(q.method + " " + q.url); q.resume().on("end", () => s.end("${name}")); })
    .listen(${port}, "127.0.0.1", function () { console.log(this.address().port); });`;
  const child: ChildProcess = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const asked: string[] = [];
  const lines = createInterface({ input: child.stdout! });
  const [listening] = (await once(lines, "line")) as [string];
  lines.on("line", (line) => asked.push(line));
  const made: LocalProcess = {
    port: Number(listening),
    asked,
    freeze: () => void child.kill("SIGSTOP"),
    async kill() {
      processes.delete(made);
      const ended = once(child, "exit");
      if (child.kill("SIGKILL")) await ended;
    },
  };
  processes.add(made);
  return made;
}

const of = (user: string | undefined) => (asked: Asked) => asked.user === user;
const failed = ({ outcome }: Asked): boolean => outcome.startsWith("failed");
const byPods = ({ outcome }: Asked): boolean => outcome.startsWith("pod ");
/** A process that ends takes with it what isn't to be sent twice. */
const takenAlong = (killed: number, ended: number) => (asked: Asked) =>
  asked.outcome === "failed: 502" && asked.method === "POST" && asked.at <= ended && asked.at + asked.ms >= killed;

test("two developers under load: each has what bears their header, and when both restart, one's requests wait as asked, the other's go to the pods", async () => {
  const [alices, bobs] = await Promise.all([startLocal("alice"), startLocal("bob")]);
  await developers.open({ match: flagged("alice"), ports: [{ remote: 80, local: alices.port }], holdMs: 30_000 });
  const bob = { holder: "bob@desk", match: flagged("bob"), ports: [{ remote: 80, local: bobs.port }] };
  await developers.open(bob);
  await using load = await shop.load({ rate: 60, limitMs: 40_000, users: ["alice", "bob", "carol"] });
  await load.until(({ outcome }) => outcome === "alice", 10_000);
  await load.until(({ outcome }) => outcome === "bob", 10_000);
  await sleep(1_500);

  const killed = Date.now();
  await Promise.all([alices.kill(), bobs.kill()]);
  const ended = Date.now();
  await load.until((asked) => asked.user === "bob" && byPods(asked) && asked.at > killed, 5_000);
  await sleep(1_500);
  const started = Date.now();
  await Promise.all([startLocal("alice", alices.port), startLocal("bob", bobs.port)]);
  const ready = Date.now();
  for (const user of ["alice", "bob"]) await load.until(({ outcome, at }) => outcome === user && at > ready + 1_000, 15_000);
  const asked = await load.stop();

  expect(asked.filter((each) => failed(each) && !takenAlong(killed, ended)(each))).toEqual([]);
  for (const user of [undefined, "carol"]) expect(asked.filter((each) => of(user)(each) && !byPods(each))).toEqual([]);
  const answered = (user: string): Asked[] => asked.filter((each) => of(user)(each) && !failed(each));
  expect(answered("alice").filter(({ outcome }) => outcome !== "alice")).toEqual([]);
  expect(answered("alice").filter(({ at, ms }) => at < started && at + ms >= started).length).toBeGreaterThan(5);
  const bobsOwn = answered("bob").filter(({ at }) => at < killed - 500 || at > ready + 1_000);
  expect(bobsOwn.filter(({ outcome }) => outcome !== "bob")).toEqual([]);
  const away = answered("bob").filter(({ at }) => at > killed && at < started - 500);
  expect(away.length).toBeGreaterThan(5);
  expect(away.filter((each) => !byPods(each))).toEqual([]);
}, 120_000);

test("--mirror: the pods answer, the copy arrives, and a local process that hangs or is gone disturbs nobody", async () => {
  const local = await startLocal("alice");
  const made = await developers.open({ match: flagged("alice"), ports: [{ remote: 80, local: local.port }], mirror: true });
  await using load = await shop.load({ rate: 60 });
  await load.until(of("alice"), 10_000);
  await sleep(1_500);
  const copies = (): number => made.status().ports[0]!.connections;
  const phases: Array<[name: string, to: () => unknown]> = [
    ["hangs", local.freeze],
    ["is gone", local.kill],
  ];
  const begun: number[] = [];
  for (const [, to] of phases) {
    to();
    const since = Date.now();
    begun.push(since);
    const had = copies();
    await load.until((asked) => of("alice")(asked) && asked.at > since + 2_000, 10_000);
    expect(copies()).toBeGreaterThan(had);
  }
  const asked = await load.stop();
  expect(asked.filter((each) => !byPods(each))).toEqual([]);
  // A copy of every request, and of no other: those of which the process was stopped before it could tell are the last.
  const wanted = asked.filter((each) => of("alice")(each) && each.at + each.ms < begun[0]! - 500).length;
  const sent = asked.filter((each) => of("alice")(each)).length;
  expect(local.asked.length).toBeGreaterThanOrEqual(wanted);
  expect(local.asked.length).toBeLessThanOrEqual(sent);
  expect(new Set(local.asked.map((line) => line.split(" ")[0]))).toEqual(new Set(["GET", "POST"]));
  // Nobody waits for who gets the copies: what is asked while it hangs takes no longer than before, but for what else the machine does.
  expect(Math.max(...asked.filter(({ at }) => at > begun[0]!).map(({ ms }) => ms))).toBeLessThan(4_000);
}, 90_000);

test.runIf(onEmbedded)(
  "ClientIP affinity: each client keeps its pod, whichever replica of the relay it comes by",
  async () => {
    const { store } = shop.embedded;
    const affinity = (value: string): void =>
      void store.mutate("services", SHOP, API, (copy) => {
        copy["spec"].sessionAffinity = value;
        if (value === "None") delete copy["spec"].sessionAffinityConfig;
      });
    affinity("ClientIP");
    try {
      const local = await startLocal("alice");
      await developers.open({ match: flagged("alice"), ports: [{ remote: 80, local: local.port }] });
      expect(developers.said).toContainEqual(expect.stringContaining("sessionAffinity is ClientIP"));
      const pods = store.list("pods", SHOP).map(({ metadata, status }) => ({ name: metadata.name, ip: String(status.podIP) }));
      const relays = pods.filter(({ name }) => name.startsWith("shipside-"));
      expect(relays).toHaveLength(2);
      // Past the Service, whose proxy in the embedded cluster calls under an address of its own.
      const program = `(async () => { const out = []; for (let i = 0; i < 4; i++) for (const ip of ${JSON.stringify(relays.map(({ ip }) => ip))})
      out.push(await fetch("http://" + ip + ":8080/").then((r) => r.text(), (e) => "failed: " + e.cause?.code)); console.log(JSON.stringify(out)); process.exit(); })()`;
      for (const { name } of pods.filter((pod) => !relays.includes(pod))) {
        const { stdout, stderr } = await shop.cluster.exec({ namespace: SHOP, name }, ["node", "-e", program]);
        expect(String(stderr)).toBe("");
        const answers = JSON.parse(String(stdout)) as string[];
        expect(answers).toHaveLength(8);
        expect([...new Set(answers)], name).toEqual([expect.stringMatching(/^pod api-/)]);
      }
      expect(
        await shop.node(`fetch("http://${API}/", { headers: { "x-user": "alice" } }).then((r) => r.text()).then(console.log)`),
      ).toBe("alice\n");
    } finally {
      await developers.close();
      affinity("None");
    }
  },
  90_000,
);

test("closed: connections that were kept through the intercept are answered once more, by the pods", async () => {
  const local = await startLocal("alice");
  const made = await developers.open({ match: flagged("alice"), ports: [{ remote: 80, local: local.port }] });
  const program = `
    const http = require("node:http");
    const { setTimeout: sleep } = require("node:timers/promises");
    const kept = new http.Agent({ keepAlive: true, maxSockets: 20 });
    const ask = (user, agent) => new Promise((resolve) => {
      const asked = http.get({ host: "${API}", agent, headers: { "x-user": user } }, (answer) => {
        let text = "";
        answer.on("data", (chunk) => (text += chunk)).on("end", () => resolve([text.split("-")[0], asked.reusedSocket].join(" ")));
      });
      asked.on("error", (error) => resolve("failed: " + error.code + " " + asked.reusedSocket));
    });
    const all = () => Promise.all(Array.from({ length: 20 }, (_, i) => ask(i % 2 ? "alice" : "nobody", kept)));
    (async () => {
      const first = await all();
      console.log(JSON.stringify({ first }));
      while ((await ask("alice", new http.Agent())).startsWith("alice")) await sleep(50);
      await sleep(6000);
      console.log(JSON.stringify({ last: await all() }));
      process.exit();
    })();`;
  const said = shop.node(program);
  await expect.poll(() => local.asked.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(10);
  await sleep(1_000);
  await made.close();
  const [first, last] = (await said)
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, string[]>);
  expect(Object.groupBy(first!["first"]!, (each) => each)).toMatchObject({ "alice false": { length: 10 } });
  expect(new Set(last!["last"])).toEqual(new Set(["pod api true"]));
}, 90_000);
