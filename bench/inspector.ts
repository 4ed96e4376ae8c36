// What an inspector costs the traffic that it looks on at: rate, time of an answer, CPU, and what it could not keep up with. Prints one JSON row a line.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export interface InspectorRow {
  figure: string;
  /** Medians of the rounds, which alternate. */
  plain: number;
  tapped: number;
  /** `tapped / plain`. */
  ratio: number;
  unit: string;
  rounds: number;
}

interface ProxyState {
  cpuMs: number;
  stats: { drops: number; droppedBytes: number; kept: number };
  memory: number;
}

const CONNECTIONS = 16;
const WARM_MS = 3_000;
const BODY = JSON.stringify({ cart: 7, user: "alice" });

function ask(port: number, agent: Agent): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const asked = request({
      host: "127.0.0.1",
      port,
      agent,
      method: "POST",
      path: "/api/cart?x=1",
      headers: { "content-type": "application/json" },
    });
    asked.on("error", reject);
    asked.once("response", (answer) => answer.resume().once("end", () => resolve(performance.now() - began)));
    asked.end(BODY);
  });
}

/** As fast as it goes. Requests a second. */
async function fullRate(port: number, ms: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const until = performance.now() + ms;
  let done = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      for (; performance.now() < until; done++) await ask(port, agent);
    }),
  );
  agent.destroy();
  return (done * 1000) / ms;
}

/** 1,000 a second, whatever becomes of them: the median of their times. */
async function steady(port: number, ms: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const began = performance.now();
  const asked: Promise<number>[] = [];
  while (performance.now() - began < ms) {
    while (asked.length < performance.now() - began) asked.push(ask(port, agent));
    await sleep(1);
  }
  const times = (await Promise.all(asked)).sort((a, b) => a - b);
  agent.destroy();
  return times[times.length >> 1]!;
}

const stateOf = async (proxy: ChildProcess): Promise<ProxyState> => {
  const answer = once(proxy, "message");
  proxy.send("state");
  return ((await answer) as [ProxyState])[0];
};

/** Rounds alternate, so that a busy moment of the machine is everybody's. */
export async function benchInspector({ rounds = 5, ms = 2_000 } = {}): Promise<{ rows: InspectorRow[]; proxy: ProxyState }> {
  const start = (file: string, ...args: string[]): ChildProcess =>
    fork(fileURLToPath(new URL(file, import.meta.url)), args, { execArgv: ["--conditions=@shipside/source"] });
  const server = start("inspector/server.ts");
  const [upstream] = (await once(server, "message")) as [number];
  const proxy = start("inspector/proxy.ts", String(upstream));
  try {
    const [ports] = (await once(proxy, "message")) as [{ plain: number; tapped: number }];
    const figures = { "requests a second": [[], []], "p50 at 1,000 a second": [[], []], "CPU of a request": [[], []] } as Record<
      string,
      number[][]
    >;
    // Until V8 has compiled what runs, a request costs several times as much.
    for (const port of [ports.plain, ports.tapped]) await fullRate(port, WARM_MS);
    for (let round = 0; round < rounds; round++) {
      for (const [at, port] of [ports.plain, ports.tapped].entries()) {
        const before = await stateOf(proxy);
        const rate = await fullRate(port, ms);
        figures["CPU of a request"]![at]!.push(((await stateOf(proxy)).cpuMs - before.cpuMs) / (rate * (ms / 1000)));
        figures["requests a second"]![at]!.push(rate);
        figures["p50 at 1,000 a second"]![at]!.push(await steady(port, ms));
      }
    }
    const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
    const rows = Object.entries(figures).map(([figure, [plain, tapped]]) => {
      const [a, b] = [median(plain!), median(tapped!)];
      const round = (value: number): number => Math.round(value * 1000) / 1000;
      return {
        figure,
        plain: round(a),
        tapped: round(b),
        ratio: round(b / a),
        unit: figure.startsWith("requests") ? "1/s" : "ms",
        rounds,
      };
    });
    return { rows, proxy: await stateOf(proxy) };
  } finally {
    for (const child of [proxy, server]) {
      child.send("end");
      await once(child, "exit");
    }
  }
}

if (import.meta.main) {
  const { rows, proxy } = await benchInspector();
  for (const row of rows) console.log(JSON.stringify(row));
  const { drops, droppedBytes, kept } = proxy.stats;
  console.log(
    JSON.stringify({ figure: "not captured", drops, droppedBytes, kept, residentMiB: Math.round(proxy.memory / 2 ** 20) }),
  );
}
