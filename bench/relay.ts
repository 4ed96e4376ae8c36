// The relay beside going direct to the pods, and beside nginx with the same header split, in interleaved rounds. Each is a process of its
// own; the relay is the very program that a pod runs. Flagged requests go over the link to a developer's machine, nginx's straight there; `tunnel` is the same request
// the other way, from the developer's machine over the link to a pod.
import { parseArgs } from "node:util";
import { type At, ask, calls, download, idleWebSockets, upload } from "./relay/client.ts";
import { startWays, type Way } from "./relay/world.ts";
import { cpuSeconds, residentMiB } from "./transport/usage.ts";

const HELP = `pnpm bench relay [options]

  --rounds N       interleaved rounds of each figure, 1 to 100; default 5
  --ms N           length of one measurement of requests, in ms; default 2000
  --mib N          size of a bulk transfer; default 256
  --websockets N   idle WebSockets; default 1000
  --only TEXT      figures whose name contains it
  --json           rows { figure, direct, relay, nginx, tunnel, unit, rounds }`;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    ms: { type: "string", default: "2000" },
    mib: { type: "string", default: "256" },
    websockets: { type: "string", default: "1000" },
    only: { type: "string", default: "" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

interface Figure {
  name: string;
  unit: string;
  maxRounds?: number;
  /** Undefined where that way has no such figure. */
  measure(way: Way): Promise<number | undefined>;
}

export interface RelayRow {
  figure: string;
  /** Medians; null where that way has no such figure. */
  direct: number | null;
  relay: number | null;
  nginx: number | null;
  tunnel: number | null;
  unit: string;
  rounds: number;
}

function whole(name: "rounds" | "ms" | "mib" | "websockets", most: number): number {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${name} must be a whole number from 1 to ${most}\n\n${HELP}`);
}

function figuresOf({ ms, bytes, websockets }: { ms: number; bytes: number; websockets: number }): Figure[] {
  const each = (flagged: boolean): Figure[] => {
    const kind = flagged ? "flagged" : "pass-through";
    // Direct knows no flag: what is flagged has no direct way but the pods'.
    const http = (name: string, unit: string, measure: (at: At, way: Way) => Promise<number | undefined>): Figure => ({
      name: `${kind}: ${name}`,
      unit,
      measure: async (way) => (way.name !== "tunnel" || (flagged && unit === "us") ? measure(way.http1, way) : undefined),
    });
    return [
      http("requests, 16 connections", "1/s", async (at) => (await ask(at, { flagged, connections: 16, ms })).perSecond),
      http("requests for each second of its CPU", "1/s", async (at, { pid }) => {
        if (pid === undefined) return undefined;
        const before = cpuSeconds(pid);
        const { perSecond } = await ask(at, { flagged, connections: 16, ms });
        return (perSecond * (ms / 1000)) / (cpuSeconds(pid) - before);
      }),
      http("p50, 1 connection", "us", async (at) => (await ask(at, { flagged, connections: 1, ms })).p50),
      http("p99, 1 connection", "us", async (at) => (await ask(at, { flagged, connections: 1, ms })).p99),
      http("download", "MiB/s", (at) => download(at, flagged, bytes)),
      http("upload", "MiB/s", (at) => upload(at, flagged, bytes)),
      {
        name: `${kind}: gRPC calls, 32 at a time`,
        unit: "1/s",
        measure: async ({ http2 }) => http2 && calls(http2, { flagged, parallel: 32, ms }),
      },
    ];
  };
  // First, and once: what was given back after another figure would be taken again, and seem to cost nothing.
  const memory = [false, true].map(
    (flagged): Figure => ({
      name: `${flagged ? "flagged" : "pass-through"}: memory of an idle WebSocket`,
      unit: "KiB",
      maxRounds: 1,
      async measure({ http1, pid }) {
        if (pid === undefined) return undefined;
        const before = residentMiB(pid);
        const close = await idleWebSockets(http1, websockets, flagged);
        const after = residentMiB(pid);
        close();
        return ((after - before) * 1024) / websockets;
      },
    }),
  );
  return [...memory, ...each(false), ...each(true)];
}

const median = (numbers: readonly number[]): number | null => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const value = sorted[sorted.length >> 1];
  return value === undefined ? null : Number(value.toPrecision(4));
};

async function measure(figure: Figure, ways: readonly Way[], rounds: number): Promise<RelayRow> {
  const taken = new Map(ways.map(({ name }) => [name, [] as number[]]));
  const count = Math.min(rounds, figure.maxRounds ?? rounds);
  for (let round = 0; round < count; round++) {
    for (const way of round % 2 === 0 ? ways : [...ways].reverse()) {
      const value = await figure.measure(way);
      if (value !== undefined && Number.isFinite(value)) taken.get(way.name)!.push(value);
    }
  }
  const of = (name: Way["name"]): number | null => median(taken.get(name) ?? []);
  return {
    figure: figure.name,
    direct: of("direct"),
    relay: of("relay"),
    nginx: of("nginx"),
    tunnel: of("tunnel"),
    unit: figure.unit,
    rounds: count,
  };
}

if (values.help) {
  console.log(HELP);
} else {
  const [rounds, ms] = [whole("rounds", 100), whole("ms", 60_000)];
  const scale = { ms, bytes: whole("mib", 8_192) * 1024 * 1024, websockets: whole("websockets", 20_000) };
  await using stack = new AsyncDisposableStack();
  const ways = await startWays(stack);
  if (!ways.some(({ name }) => name === "nginx")) console.error("no nginx on PATH: the relay is measured beside going direct only");
  // As long as one measurement: what is measured afterwards is compiled code, as in a relay that has been up for a while.
  for (const way of ways) {
    for (const flagged of [false, true]) await ask(way.http1, { flagged, connections: 16, ms });
  }
  const show = (value: number | null): string => (value === null ? "-" : String(value)).padStart(10);
  if (!values.json)
    console.log(`${"".padEnd(52)}${["direct", "relay", "nginx", "tunnel"].map((name) => name.padStart(10)).join("")}`);
  for (const figure of figuresOf(scale).filter(({ name }) => name.includes(values.only))) {
    const row = await measure(figure, ways, rounds);
    if (values.json) console.log(JSON.stringify(row));
    else
      console.log(
        `${row.figure.padEnd(52)}${show(row.direct)}${show(row.relay)}${show(row.nginx)}${show(row.tunnel)}  ${row.unit}`,
      );
  }
}
