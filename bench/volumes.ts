// Our mount beside OpenSSH's, and the snapshot driver beside `kubectl cp`, in interleaved rounds. See docs/performance.md.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findKubectl } from "./transport/peers.ts";
import { CONTENTS, startCopies } from "./volumes/copies.ts";
import { FIGURES, type Figure, type Scale } from "./volumes/figures.ts";
import { type Mounted, mountOpenSsh, mountOurs } from "./volumes/mounts.ts";
import { makeProject } from "./volumes/project.ts";

const HELP = `pnpm bench volumes [options]

  --rounds N      interleaved rounds of each figure, 1 to 100; default 5
  --rtt N         time there and back to the server, in ms, 0 to 1000; default 0: straight by loopback
  --mbit N        what the way from the cluster carries, in Mbit/s, 1 to 10000, for the snapshots; default: any amount
  --driver NAME   ours: sshfs or fuse; default: fuse, as a session takes
  --link tls      ours through TLS, ended by a process beside the relay; default
  --link plain    ours without: as though encryption cost nothing
  --mib N         size of a sequential transfer; default 128
  --operations N  random reads and writes a round; default 2000
  --files N       for ls -lR; a twentieth for grep -r and rm -r; default 10000
  --only TEXT     figures whose name contains it
  --json          rows { figure, ours, peer, ratio, unit, rounds }`;

export interface VolumesRow {
  figure: string;
  ours: number;
  peer: number;
  /** ours / peer */
  ratio: number;
  unit: string;
  rounds: number;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    rtt: { type: "string", default: "0" },
    mbit: { type: "string" },
    link: { type: "string", default: "tls" },
    driver: { type: "string", default: "fuse" },
    mib: { type: "string", default: "128" },
    operations: { type: "string", default: "2000" },
    files: { type: "string", default: "10000" },
    only: { type: "string", default: "" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function whole(name: "rounds" | "rtt" | "mbit" | "mib" | "operations" | "files", least: number, most: number): number {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`--${name} must be a whole number from ${least} to ${most}\n\n${HELP}`);
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
const round = (value: number): number => Number(value.toPrecision(4));

interface Side {
  ours(): number | Promise<number>;
  peer(): number | Promise<number>;
}

async function compare(figure: Pick<Figure, "name" | "unit">, { ours, peer }: Side, rounds: number): Promise<VolumesRow> {
  const taken = { ours: [] as number[], peer: [] as number[] };
  for (let count = 0; count < rounds; count++) {
    if (count % 2 === 0) taken.ours.push(await ours());
    taken.peer.push(await peer());
    if (count % 2 === 1) taken.ours.push(await ours());
  }
  const [one, other] = [median(taken.ours), median(taken.peer)];
  return { figure: figure.name, ours: round(one), peer: round(other), ratio: round(one / other), unit: figure.unit, rounds };
}

if (values.help) {
  console.log(HELP);
} else {
  const [rounds, rttMs] = [whole("rounds", 1, 100), whole("rtt", 0, 1_000)];
  if (values.driver !== "sshfs" && values.driver !== "fuse") throw new Error(`--driver is sshfs or fuse\n\n${HELP}`);
  if (values.link !== "tls" && values.link !== "plain") throw new Error(`--link is tls or plain\n\n${HELP}`);
  const rows: VolumesRow[] = [];
  const show = (row: VolumesRow, must: string): void => {
    rows.push(row);
    if (values.json) return;
    const figures = `ours ${String(row.ours).padStart(8)}  peer ${String(row.peer).padStart(8)} ${row.unit.padEnd(6)}`;
    console.log(`${row.figure.padEnd(72)}${figures} ratio ${row.ratio} (${must})`);
  };
  await using stack = new AsyncDisposableStack();
  const base = mkdtempSync(join(tmpdir(), "shipside-bench-volumes-"));
  stack.defer(() => rmSync(base, { recursive: true, force: true }));

  const wanted = FIGURES.filter(({ name }) => name.includes(values.only));
  if (wanted.length > 0) {
    const scale: Scale = {
      bulkBytes: whole("mib", 1, 8_192) * 1024 * 1024,
      operations: whole("operations", 1, 1_000_000),
      files: whole("files", 100, 1_000_000),
      project: makeProject(join(base, "project")),
    };
    const options = { rttMs, tls: values.link === "tls", driver: values.driver } as const;
    const [ours, peer]: Mounted[] = [
      await mountOurs(stack, { base: join(base, "ours"), ...options }),
      await mountOpenSsh(stack, { base: join(base, "openssh"), ...options }),
    ];
    for (const figure of wanted) {
      const side = { ours: () => figure.measure(ours!, scale), peer: () => figure.measure(peer!, scale) };
      const { kind, loopback, far } = figure.must;
      show(await compare(figure, side, rounds), `${kind === "atLeast" ? "≥" : "≤"} ${rttMs > 0 ? far : loopback}`);
    }
  }

  const kubectl = await findKubectl();
  const copied = CONTENTS.filter(({ figure }) => figure.includes(values.only));
  if (copied.length > 0) {
    if (kubectl === undefined) console.error("no kubectl: the snapshot driver has no peer (install kubectl)");
    else {
      const mbit = values.mbit === undefined ? undefined : whole("mbit", 1, 10_000);
      const distance = { rttMs, ...(mbit !== undefined && { bytesPerSecond: mbit * 125_000 }) };
      for (const { figure, ours, kubectl: peer } of await startCopies(stack, kubectl, copied, distance)) {
        show(await compare({ name: figure, unit: "s" }, { ours, peer }, rounds), "≤ 0.5");
      }
    }
  }
  if (values.json) console.log(JSON.stringify(rows, undefined, 2));
}
