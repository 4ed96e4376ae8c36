// A program in namespaces of its own beside the same program on the machine, whose listening sockets are this process's as a helper hands
// them over; and what the namespaces add to the start of a command. In interleaved rounds. See docs/rootless.md.
import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { teleport } from "@shipside/daemon";
import { openRootless } from "@shipside/daemon/rootless";
import { SERVICES, type Service } from "@shipside/kube";
import { PROGRAM_PORT } from "./transport/program.ts";
import { startTarget } from "./transport/target.ts";

const HELP = `pnpm bench rootless [options]

  --rounds N        interleaved rounds of each figure, 1 to 100; default 5
  --connections N   new connections a round; default 800
  --mib N           size of a bulk transfer; default 128
  --only TEXT       figures whose name contains it
  --json            rows { figure, ours, peer, compared, cpu, bar, unit, rounds }`;

export interface RootlessRow {
  figure: string;
  /** Medians: in namespaces, and beside them. */
  ours: number;
  peer: number;
  /** ours / peer; of a start, ours - peer. */
  compared: number;
  /** Of this process's CPU, ours / peer: it has the tunnels, and a busy machine changes it less than what is done in a second. */
  cpu: number;
  /** What `compared` is to keep to. */
  bar: string;
  unit: string;
  rounds: number;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    connections: { type: "string", default: "800" },
    mib: { type: "string", default: "128" },
    only: { type: "string", default: "" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function whole(name: "rounds" | "connections" | "mib", most: number): number {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${name} must be a whole number from 1 to ${most}\n\n${HELP}`);
}

const run = promisify(execFile);
const client = fileURLToPath(new URL("rootless/client.ts", import.meta.url));
const bin = fileURLToPath(new URL("../packages/cli/dist/bin.js", import.meta.url));
/** Who has no root, where this process does: its hosts file is not to be written. */
const NOBODY = 65_534;
const MIB = 1024 * 1024;

interface Figure {
  name: string;
  unit: string;
  start?: true;
  measure(inside: boolean): Promise<number>;
}

async function main(): Promise<void> {
  const rounds = whole("rounds", 100);
  const [connections, bytes] = [whole("connections", 100_000), whole("mib", 8_192) * MIB];
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "shipside-bench-"));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  await chmod(dir, 0o777);
  const target = stack.use(await startTarget({ kubeconfig: undefined }));
  const { kubeconfig, namespace } = target;
  const spec = { selector: { app: target.pod }, ports: [{ port: PROGRAM_PORT }] };
  await target.cluster.create(SERVICES, { apiVersion: "v1", kind: "Service", metadata: { name: "program" }, spec } as Service);

  const common = { kubeconfig, namespace, pool: { stateFile: false as const }, stateDir: dir };
  const rootless = stack.use(await openRootless());
  const beside = stack.use(await teleport({ ...common, hosts: false }));
  const within = stack.use(await teleport({ ...common, ...rootless.hostOptions }));

  const ask =
    (work: string, amount: number, unit = 1) =>
    async (inside: boolean) => {
      const [address = "", port = ""] = (inside ? within : beside).address("program", PROGRAM_PORT).split(":");
      const command = [process.execPath, client, address, port, work, String(amount)];
      const [program = "", ...words] = inside ? rootless.enter(command) : command;
      const { stdout } = await run(program, words, { timeout: 120_000 });
      return Number(stdout) / unit;
    };
  const figures: Figure[] = [
    { name: "new connections, one at a time", unit: "1/s", measure: ask("one", connections) },
    { name: "new connections, 16 at once", unit: "1/s", measure: ask("sixteen", connections) },
    { name: "download", unit: "MiB/s", measure: ask("download", bytes, MIB) },
    { name: "upload", unit: "MiB/s", measure: ask("upload", bytes, MIB) },
    { name: "start of a command", unit: "ms", start: true, measure: await starter(dir, kubeconfig, namespace) },
  ];
  for (const figure of figures.filter(({ name }) => name.includes(values.only))) {
    const row = await compare(figure, rounds);
    if (values.json) console.log(JSON.stringify(row));
    else
      console.log(
        `${row.figure.padEnd(34)}${row.ours} beside ${row.peer} ${row.unit}: ${row.compared} (CPU ${row.cpu}), bar ${row.bar}`,
      );
  }
}

/** From `shipside` to the first word of its command, in ms: `run`, and `teleport` without a helper. */
async function starter(dir: string, kubeconfig: string, namespace: string): Promise<Figure["measure"]> {
  const own = join(dir, "kubeconfig");
  await copyFile(kubeconfig, own);
  await chmod(own, 0o644);
  const home = join(dir, "home");
  await mkdir(home);
  await chmod(home, 0o777);
  const { KUBECONFIG: _, XDG_RUNTIME_DIR: __, XDG_STATE_HOME: ___, ...env } = process.env;
  const as = process.getuid!() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  return async (inside) => {
    const how = inside ? ["run"] : ["teleport", "--no-rootless"];
    const words = [bin, ...how, "namespace", namespace, "-k", own, "-q", "--", "date", "+%s%N"];
    const began = Date.now();
    const { stdout } = await run(process.execPath, words, { env: { ...env, HOME: home, TMPDIR: home }, cwd: "/", ...as });
    return Number(stdout) / 1e6 - began;
  };
}

async function compare({ name, unit, start, measure }: Figure, rounds: number): Promise<RootlessRow> {
  const taken: Record<"ours" | "peer", number[]> = { ours: [], peer: [] };
  const cpu = { ours: 0, peer: 0 };
  // What is measured afterwards is compiled code, and files that are in memory.
  for (const inside of [true, false]) await measure(inside);
  for (let round = 0; round < rounds; round++) {
    for (const who of round % 2 === 0 ? (["ours", "peer"] as const) : (["peer", "ours"] as const)) {
      const before = process.cpuUsage();
      taken[who].push(await measure(who === "ours"));
      const { user, system } = process.cpuUsage(before);
      cpu[who] += user + system;
    }
  }
  const [ours, peer] = [median(taken.ours), median(taken.peer)];
  const compared = start ? ours - peer : Number((ours / peer).toFixed(2));
  return {
    figure: name,
    ours,
    peer,
    compared,
    cpu: Number((cpu.ours / cpu.peer).toFixed(2)),
    bar: start ? "< 150" : "≥ 0.95",
    unit,
    rounds,
  };
}

const median = (all: readonly number[]): number => Math.round([...all].sort((a, b) => a - b)[all.length >> 1]!);

if (values.help) console.log(HELP);
else await main();
