import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { NOBODY, untilSaid } from "./cli.harness.ts";
import { NAMESPACE, sampleUsers } from "./incoming.fixture.ts";

// What the cluster sends arrives at the port that a command in namespaces of its own listens on: nothing of this machine's localhost is asked.

const at = sampleUsers();
const url = "http://core:3020/x";
const theirs = expect.stringContaining('"version": "cluster"');
const uid = process.getuid?.() === 0 ? NOBODY : process.getuid?.();

/** Says when it listens, on the port alone that stands in its env, and answers who it is. */
const server = (port: number): string => `
  require("node:http").createServer((q, s) => s.end("inside " + q.url + " as " + process.getuid()))
    .listen(${port}, "127.0.0.1", () => console.log("listening"));
  const udp = require("node:dgram").createSocket("udp4", (d, from) => udp.send("inside " + d, from.port, from.address)).bind(5353);`;

/** Asks until there is an answer: a datagram may be lost. */
const ping = `
  const socket = require("node:dgram").createSocket("udp4", (d) => { console.log(String(d)); process.exit(); });
  setInterval(() => socket.send("ping", 5300, "webhook"), 300);
  setTimeout(() => process.exit(), 15000);`;

test.skipIf(process.platform !== "linux")(
  "run --intercept, --expose: flagged requests of a pod come to the command inside, as its user, datagrams too; the rest to the pods",
  { timeout: 90_000 },
  async () => {
    const arrivals = [
      "--intercept",
      "core:3020:80",
      "-x",
      "x-user: alice",
      "--expose",
      "webhook:8080:80",
      "--expose",
      "webhook:5300:5353/udp",
    ];
    const words = ["run", "deployment/core", ...arrivals, ...at.where(), "--", process.execPath, "-e", server(80)];
    const child = at.user.start(words);
    onTestFinished(() => void child.kill("SIGKILL"));
    const said = await untilSaid(child, /^listening$/m);
    expect(said).toContain(`core.${NAMESPACE}:3020 → port 80 of the command`);
    expect(said).toContain(`webhook.${NAMESPACE}:8080 → port 80 of the command`);
    expect(said).toContain("requests with x-user: alice");
    const flagged = { url, headers: { "x-user": "alice" } };
    const exposed = { url: "http://webhook:8080/hook" };
    await expect.poll(() => at.sample.ask(exposed), { timeout: 20_000 }).toEqual([`inside /hook as ${uid}`]);
    expect(await at.sample.ask({ url }, flagged, { url, headers: { "x-user": "bob" } })).toEqual([
      theirs,
      `inside /x as ${uid}`,
      theirs,
    ]);
    expect(await at.sample.node(ping)).toBe("inside ping\n");
    const listed = JSON.parse((await at.user.run(["session", "list", "--json"])).stdout);
    expect(listed.map(({ kind }: { kind: string }) => kind).sort()).toEqual(["expose", "intercept", "teleport"]);
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
    expect(await at.sample.ask(flagged)).toEqual([theirs]);
  },
);

test.skipIf(process.platform !== "linux")(
  "nothing of the command listens: requests go to the pods, and it says so",
  { timeout: 90_000 },
  async () => {
    const words = ["run", "deployment/core", "--intercept", "core:3020:80", "--all", ...at.where()];
    const child = at.user.start([...words, "--", "sh", "-c", "echo up; exec sleep 1000"]);
    onTestFinished(() => void child.kill("SIGKILL"));
    await untilSaid(child, /^up$/m);
    const told = untilSaid(child, /nothing of the command listens on port 80: requests go to the cluster's pods/);
    expect(await at.sample.ask({ url })).toEqual([theirs]);
    await told;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  },
);
