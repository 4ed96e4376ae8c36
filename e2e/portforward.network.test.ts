import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { PROGRAM_PORT } from "../bench/transport/program.ts";
import { startTarget } from "../bench/transport/target.ts";
import { startFront } from "./portforward/front.ts";

/** A machine of its own: a network namespace whose one link leads to the cluster. */
const canHaveNamespaces = process.getuid?.() === 0 && spawnSync("ip", ["netns"]).status === 0;
const ip = (...args: string[]): void => {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
};

interface Word {
  at: number;
  error?: string;
  held?: string;
}

test.runIf(canHaveNamespaces).each([{ awayMs: 100 }, { awayMs: 3_000 }])(
  "when the machine gets another address after $awayMs ms, connections work within 2 s of the link's return, and what was open fails",
  { timeout: 60_000 },
  async ({ awayMs }) => {
    await using closer = new AsyncDisposableStack();
    const id = randomBytes(3).toString("hex");
    const [space, outside, inside] = [`shipside-${id}`, `so${id}`, `si${id}`];
    ip("netns", "add", space);
    closer.defer(() => ip("netns", "del", space));
    // A namespace with closing sockets in it lives on for a while, and so would the link.
    closer.defer(() => ip("link", "del", outside));
    ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", space);
    ip("addr", "add", "10.213.7.1/24", "dev", outside);
    ip("link", "set", outside, "up");
    const within = (...args: string[]): void => ip("-n", space, ...args);
    within("addr", "add", "10.213.7.2/24", "dev", inside);
    within("link", "set", inside, "up");
    within("link", "set", "lo", "up");

    const target = closer.use(await startTarget({ kubeconfig: undefined }));
    const front = closer.use(await startFront(target.kubeconfig, "spdy", { host: "10.213.7.1" }));
    const prober = fileURLToPath(new URL("portforward/prober.ts", import.meta.url));
    const args = [prober, front.kubeconfig, target.namespace, target.pod, String(PROGRAM_PORT)];
    const child = spawn("ip", ["netns", "exec", space, process.execPath, "--conditions=@shipside/source", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "close");
    closer.defer(async () => {
      child.kill("SIGKILL");
      await ended;
    });
    const words: Word[] = [];
    createInterface(child.stdout).on("line", (line) => words.push(JSON.parse(line) as Word));
    const until = async (what: string, ms: number, holds: () => boolean): Promise<void> => {
      const deadline = Date.now() + ms;
      while (!holds()) {
        if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}; last: ${JSON.stringify(words.slice(-3))}`);
        await sleep(10);
      }
    };
    await until("the first round trips", 20_000, () => words.length > 5);
    expect(words.filter(({ error }) => error)).toEqual([]);

    within("link", "set", inside, "down");
    within("addr", "flush", "dev", inside);
    await sleep(awayMs);
    within("addr", "add", "10.213.7.3/24", "dev", inside);
    within("link", "set", inside, "up");
    const back = Date.now();
    await until("a round trip after the link's return", 10_000, () =>
      words.some(({ at, error, held }) => at > back && !error && !held),
    );
    const first = words.find(({ at, error, held }) => at > back && !error && !held)!;
    expect(first.at - back).toBeLessThan(2_000);
    await until("the end of the stream that was open", 15_000, () => words.some(({ held }) => held === "closed"));
  },
);
