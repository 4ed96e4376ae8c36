// Our port-forward beside kubectl's, on the same cluster, in interleaved rounds. See docs/performance.md.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FIGURES, type Figure, type Scale } from "./transport/figures.ts";
import { findKubectl, type Peer, type PeerTarget, startKubectl, startOurs } from "./transport/peers.ts";
import { startTarget } from "./transport/target.ts";

const MIB = 1024 * 1024;

const HELP = `pnpm bench transport [options]

  --kubeconfig PATH   measure against this cluster (makes and deletes a namespace); default: an embedded one
  --image IMAGE       for the pod there, with node in it; default node:24
  --kubectl PATH      default: the one on PATH; without one, only ours is measured
  --via relay         ours goes through a relay in the cluster; default: port-forward
  --rounds N          interleaved rounds of each figure, 1 to 100; default 5
  --mib N             size of a bulk transfer; default 256
  --connections N     new connections a round; default 800
  --idle N            idle connections; default 1000
  --only TEXT         figures whose name contains it
  --json              rows { figure, ours, peer, ratio, unit, rounds }`;

export interface Row {
  figure: string;
  ours: number;
  /** null where there is no kubectl, or it didn't get through. */
  peer: number | null;
  /** ours / peer; null where there is no peer, or it got nowhere. */
  ratio: number | null;
  unit: string;
  rounds: number;
}

const BOUNDS: Record<string, string> = { atLeast: "≥", atMost: "≤", oursAtLeast: "ours ≥" };

const { values } = parseArgs({
  options: {
    kubeconfig: { type: "string" },
    image: { type: "string" },
    kubectl: { type: "string" },
    via: { type: "string", default: "port-forward" },
    rounds: { type: "string", default: "5" },
    mib: { type: "string", default: "256" },
    connections: { type: "string", default: "800" },
    idle: { type: "string", default: "1000" },
    only: { type: "string", default: "" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const whole = (name: "rounds" | "mib" | "connections" | "idle", most: number): number => {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new Error(`--${name} must be a whole number from 1 to ${most}\n\n${HELP}`);
  return value;
};

const median = (numbers: readonly number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

const round = (value: number): number => Number(value.toPrecision(4));

/** The embedded cluster in a process of its own, or the one of `--kubeconfig`. */
async function prepare(stack: AsyncDisposableStack): Promise<PeerTarget> {
  if (values.kubeconfig !== undefined) return stack.use(await startTarget({ kubeconfig: values.kubeconfig, image: values.image }));
  const server = spawn(
    process.execPath,
    ["--conditions=@shipside/source", fileURLToPath(import.meta.resolve("./transport/server.ts"))],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  stack.defer(async () => {
    const gone = once(server, "close");
    server.stdin.end();
    await gone;
  });
  for await (const line of createInterface(server.stdout)) return JSON.parse(line) as PeerTarget;
  throw new Error("the embedded cluster did not start");
}

async function measure(
  figure: Figure,
  target: PeerTarget,
  kubectl: string | undefined,
  scale: Scale,
  rounds: number,
): Promise<Row> {
  // Fresh processes for each figure: one may have left kubectl stuck, or its memory grown.
  await using ours = await startOurs(target, { built: true, viaRelay: values.via === "relay" });
  await using peer = kubectl === undefined ? undefined : await startKubectl(target, kubectl);
  const results = { ours: [] as number[], peer: [] as number[] };
  const take = async (who: Peer | undefined, into: number[]): Promise<void> => {
    if (!who) return;
    const value = await figure.measure(who, scale).catch((error: Error) => {
      if (who === ours) throw error;
      console.error(`${figure.name}: ${who.name}: ${error.message}`);
      return Number.NaN;
    });
    if (Number.isFinite(value)) into.push(value);
  };
  // A forwarder runs for hours; V8 has compiled what runs often after some thousand rounds.
  const warm: Scale = { bulkBytes: 32 * MIB, connections: 64, questions: 5_000, idle: 10 };
  for (const who of [ours, peer]) if (who) await figure.measure(who, warm).catch(() => {});
  const count = Math.min(rounds, figure.maxRounds ?? rounds);
  for (let i = 0; i < count; i++) {
    if (i % 2 === 0) await take(ours, results.ours);
    await take(peer, results.peer);
    if (i % 2 === 1) await take(ours, results.ours);
  }
  const [one, other] = [median(results.ours), results.peer.length > 0 ? median(results.peer) : undefined];
  return {
    figure: figure.name,
    ours: round(one),
    peer: other === undefined ? null : round(other),
    ratio: other === undefined || other === 0 ? null : round(one / other),
    unit: figure.unit,
    rounds: count,
  };
}

if (values.help) {
  console.log(HELP);
} else {
  const rounds = whole("rounds", 100);
  const scale: Scale = {
    bulkBytes: whole("mib", 8_192) * MIB,
    connections: whole("connections", 100_000),
    questions: 2_000,
    idle: whole("idle", 20_000),
  };
  const kubectl = await findKubectl(values.kubectl);
  if (kubectl === undefined) console.error("no kubectl: only ours is measured (--kubectl PATH)");
  const buildScript = fileURLToPath(import.meta.resolve("../scripts/build.ts"));
  execFileSync(process.execPath, [buildScript, "core", "kube", "relay", "--if-stale", "--quiet"], {
    cwd: join(buildScript, "../.."),
    stdio: "inherit",
  });
  await using stack = new AsyncDisposableStack();
  const target = await prepare(stack);
  const rows: Row[] = [];
  for (const figure of FIGURES) {
    if (!figure.name.includes(values.only)) continue;
    const row = await measure(figure, target, kubectl, scale, rounds);
    rows.push(row);
    if (values.json) continue;
    const [bound] = Object.entries(figure.must).map(([kind, value]) => `${BOUNDS[kind]} ${value}`);
    const ratio = row.ratio ?? "–";
    console.log(
      `${row.figure.padEnd(50)} ours ${String(row.ours).padStart(8)}  kubectl ${String(row.peer ?? "–").padStart(8)} ${row.unit.padEnd(6)} ratio ${ratio} (${bound})`,
    );
  }
  if (values.json) console.log(JSON.stringify(rows, undefined, 2));
}
