import { createServer } from "node:net";
import { dirname } from "node:path";
import { createCloser } from "@shipside/core";
import { mergeEnv, type SessionEvent, type SessionInfo } from "@shipside/daemon/client";
import type { CommandModule } from "../command.ts";
import { flag } from "../command.ts";
import { startChild } from "../demo/child.ts";
import { keepRunning } from "../demo/keep.ts";
import { type NamesBy, type Place, placeHere, placeInNamespaces } from "../demo/place.ts";
import { CALLER } from "../demo/programs.ts";
import { type Proof, witness } from "../demo/proof.ts";
import { restartRollout, untilReady } from "../demo/sample.ts";
import { envLines, serviceLines } from "../demo/show.ts";
import { demoStateDir } from "../demo/state.ts";
import { canWriteHosts, openWithoutRoot } from "../demo/without-root.ts";
import { cliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import type { Interrupt } from "../interrupt.ts";
import { type CommandSession, openHere } from "../open-session.ts";
import { createProgress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";
import { recoverNow } from "./session.ts";

const NAMESPACE = "sample";
const LEAF = "http://leaf:3010";

interface Story {
  server: string;
  names: NamesBy;
  services: Array<{ name: string; address: string | undefined }>;
  variables: number;
  firstCall: { url: string; address: string; pod: string; ms: number };
  core: { version: string; calls: Array<{ to: string; ok: boolean; address?: string; answer?: unknown }> };
  rollout: { calls: number; failed: number; pods: string[] };
  timings: Record<"cluster" | "sample" | "teleport" | "firstCallByName" | "total", number>;
}

export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  if (flag(invocation, "clean")) return (await recoverNow(terminal)).length > 0 ? EXIT.residue : EXIT.ok;
  const began = performance.now();
  const since = (): number => Math.round(performance.now() - began);
  const look = await witness();
  const state = await demoStateDir();
  const closer = createCloser();
  closer.defer(state.remove);
  let story: Partial<Story> = {};
  let failure: unknown;
  try {
    story = await tell({ terminal, interrupt, since, look, closer, stateDir: state.path });
    if (flag(invocation, "keep")) await keepRunning(terminal, interrupt, story as Story & { kubeconfig: string });
  } catch (error) {
    failure = error;
  }
  const title = heading(terminal);
  if (interrupt.by) terminal.say();
  title("Cleaning up, and the proof");
  terminal.busy("cleaning up");
  await look.noteProcesses();
  await closer.close().catch((error: unknown) => {
    failure ??= error;
  });
  const proof = await look.examine();
  sayProof(proof, terminal);
  if (failure !== undefined) throw failure;
  if (proof.residue.length > 0) {
    throw cliError("DEMO_FAILED", `the demo left something behind: ${proof.residue.join("; ")}`, {
      details: { residue: proof.residue },
    });
  }
  const total = since();
  const first = story.timings?.firstCallByName ?? 0;
  terminal.say();
  terminal.say(
    `${terminal.err("bold", "Nothing is left behind.")} ${(total / 1000).toFixed(1)} s in all; the first call by name came ${(first / 1000).toFixed(1)} s after the start.`,
  );
  terminal.result({ ...story, timings: { ...story.timings, total }, hosts: proof.hosts, residue: proof.residue }, "");
  return interrupt.exitCode;
};

interface Stage {
  terminal: Terminal;
  interrupt: Interrupt;
  since(): number;
  look: Awaited<ReturnType<typeof witness>>;
  closer: ReturnType<typeof createCloser>;
  stateDir: string;
}

async function tell(stage: Stage): Promise<Partial<Story> & { kubeconfig: string }> {
  const { terminal, interrupt, since, look, closer, stateDir } = stage;
  const { err } = terminal;
  const title = heading(terminal);
  const { signal } = interrupt;

  const byHosts = await canWriteHosts();
  const touched = byHosts ? "Nothing of yours is touched but the hosts file." : "Nothing of yours is touched.";
  terminal.say(`${err("bold", "Shipside demo")}: a cluster, a teleport into it, and the way back. ${touched}`);
  // Made while the cluster starts.
  const withoutRoot = byHosts ? undefined : openWithoutRoot();
  closer.defer(async () => (await withoutRoot)?.namespaces?.close());
  title("A cluster");
  terminal.busy("starting a small Kubernetes in this process");
  const { startCluster, sampleCorePath, sampleManifests } = await import("@shipside/testkit");
  signal.throwIfAborted();
  // Addresses come from the context's name: of two demos at once, each has its own.
  const cluster = closer.use(await startCluster({ name: `shipside-demo-${process.pid}` }));
  const clusterMs = since();
  look.expectGone({
    files: [dirname(cluster.kubeconfigPath), ...(cluster.node ? [cluster.node.stateDir] : [])],
    listeners: [new URL(cluster.server).host],
  });
  terminal.done(`a small Kubernetes runs in this process: ${err("bold", cluster.server)}`);
  terminal.busy("starting the sample's pods");
  const manifests = sampleManifests();
  await cluster.apply(manifests);
  const workloads = manifests.filter((object) => /^(Deployment|StatefulSet)$/.test((object as { kind: string }).kind)).length;
  await untilReady(cluster, NAMESPACE, workloads, signal);
  const sampleMs = since() - clusterMs;
  terminal.done(
    `the sample runs in it: frontend ${arrow} core ${arrow} leaf, and a database; ${workloads} pods, each a process of its own`,
  );

  const namespaces = (await withoutRoot)?.namespaces;
  title("The teleport", namespaces ? "shipside run deployment/core" : "shipside teleport deployment/core");
  (await withoutRoot)?.tell(terminal);
  const teleportBegan = since();
  const progress = createProgress(terminal, {
    command: "told",
    ...(namespaces && { rootless: true }),
    calm: ({ code }) => code === "NAME_TAKEN",
  });
  let taken = false;
  let inside: Awaited<ReturnType<typeof placeInNamespaces>> | undefined;
  const onEvent = (event: SessionEvent): void => {
    taken ||= event.step === "warning" && event.error.code === "NAME_TAKEN";
    if (event.step === "names") inside?.follow(session.info(), event.entries);
    progress.on(event);
  };
  const session = await openHere(
    { workload: "deployment/core", namespace: NAMESPACE, kubeconfig: cluster.kubeconfigPath },
    { terminal, signal, onEvent },
    { stateDir, pool: { stateFile: false }, ...namespaces?.hostOptions },
  );
  closer.use(session);
  progress.ready();
  if (namespaces) inside = await placeInNamespaces(namespaces, session, stage);
  const teleportMs = since() - teleportBegan;
  const info = session.info();
  // The services' own addresses are nobody's here: those listeners go with the processes that have them.
  look.expectGone({ listeners: namespaces ? [] : listenersOf(info), hostsOwner: `shipside-${session.journal.run}` });
  for (const line of serviceLines(info, err)) terminal.say(line);
  terminal.say();
  for (const line of envLines(session.env, err)) terminal.say(line);

  title("Your version of core, an ordinary process that knows nothing of Shipside");
  const place = inside ?? (await placeHere(session, taken, stage));
  const caller = await callLeaf(place, stage);
  const core = await runCore(sampleCorePath(), session, place, stage);

  title("Meanwhile, the cluster changes", "kubectl rollout restart deployment/leaf");
  terminal.busy("waiting for the new pod");
  restartRollout(cluster, NAMESPACE, "leaf");
  const rollout = await caller.rest();
  terminal.done(
    `${rollout.calls} calls of ${err("cyan", LEAF)} in the meantime: none failed, and ${err("bold", rollout.pods.at(-1)!)} answers now`,
  );
  return {
    kubeconfig: cluster.kubeconfigPath,
    server: cluster.server,
    names: place.how,
    services: info.services.map(({ namespace, name, address }) => ({ name: `${name}.${namespace}`, address })),
    variables: session.env.length,
    firstCall: caller.first,
    core,
    rollout,
    timings: { cluster: clusterMs, sample: sampleMs, teleport: teleportMs, firstCallByName: caller.at, total: since() },
  };
}

interface Caller {
  first: Story["firstCall"];
  /** When the first answer was there, in ms since the start. */
  at: number;
  /** Goes on calling until another pod answers, and says how that went. */
  rest(): Promise<Story["rollout"]>;
}

/** A process that calls leaf by its name, again and again. */
async function callLeaf(place: Place, { terminal, since, look, closer, interrupt }: Stage): Promise<Caller> {
  const { err } = terminal;
  const { command, env } = place.wrap([process.execPath, "-e", CALLER, LEAF, "3", "30000"], process.env);
  const caller = startChild(command, env);
  const done = closer.defer(() => caller.close());
  await look.noteProcesses();
  terminal.busy(`calling ${LEAF}`);
  const aborted = new Promise<undefined>((resolve) =>
    interrupt.signal.addEventListener("abort", () => resolve(undefined), { once: true }),
  );
  const read = async <T>(): Promise<T> => {
    const line = await Promise.race([caller.line(), aborted]);
    interrupt.signal.throwIfAborted();
    if (line === undefined) throw cliError("DEMO_FAILED", `the call of ${LEAF} failed`, { details: { stderr: caller.complaints } });
    return JSON.parse(line) as T;
  };
  const first = { url: LEAF, ...(await read<Omit<Story["firstCall"], "url">>()) };
  const at = since();
  if (first.pod.startsWith("error")) throw cliError("DEMO_FAILED", `the call of ${LEAF} failed: ${first.pod}`);
  terminal.done(`${err("cyan", LEAF)} ${arrow} ${first.address} ${arrow} answered by ${err("bold", first.pod)} (${first.ms} ms)`);
  return {
    first,
    at,
    async rest() {
      const rollout = await read<Story["rollout"]>();
      await done();
      if (rollout.failed === 0 && rollout.pods.length > 1) return rollout;
      throw cliError("DEMO_FAILED", `${rollout.failed} of ${rollout.calls} calls failed while leaf was rolled out anew`, {
        details: { ...rollout },
      });
    },
  };
}

/** Runs the local version of core with the workload's env, and asks it once. */
async function runCore(program: string, session: CommandSession, place: Place, stage: Stage): Promise<Story["core"]> {
  const { terminal, closer, look, interrupt } = stage;
  const { err } = terminal;
  const port = await freePort();
  const wrapped = place.wrap([process.execPath, program], { ...mergeEnv(process.env, session.env), PORT: String(port) });
  const child = startChild(wrapped.command, wrapped.env);
  const done = closer.defer(() => child.close());
  look.expectGone({ listeners: [`127.0.0.1:${port}`] });
  await look.noteProcesses();
  terminal.busy("starting the local core");
  if ((await child.line()) === undefined) {
    throw cliError("DEMO_FAILED", "the local version of core did not start", { details: { stderr: child.complaints } });
  }
  const signal = AbortSignal.any([interrupt.signal, AbortSignal.timeout(10_000)]);
  const response = await fetch(`http://127.0.0.1:${await place.portHere(port, signal)}/`, { signal });
  const core = (await response.json()) as Story["core"] & { ok: boolean; greeting?: string };
  if (!core.ok) throw cliError("DEMO_FAILED", "the local version of core could not call its neighbours", { details: { core } });
  terminal.done(
    `your core runs here with the cluster's configuration: it greets with ${err("bold", JSON.stringify(core.greeting))}`,
  );
  for (const { to, address, answer } of core.calls) {
    terminal.say(`    it called ${err("cyan", to)} ${arrow} ${address} ${arrow} ${short(answer)}`);
  }
  await done();
  return { version: core.version, calls: core.calls };
}

const arrow = "→";

const short = (answer: unknown): string => {
  const pod = (answer as { pod?: string } | null)?.pod;
  return pod ?? JSON.stringify(answer);
};

function heading({ say, err }: Terminal): (text: string, command?: string) => void {
  return (text, command) => {
    say();
    say(`${err("bold", text)}${command ? `   ${err("dim", `$ ${command}`)}` : ""}`);
  };
}

function listenersOf({ services }: SessionInfo): string[] {
  return services.flatMap(({ address, ports }) =>
    address === undefined ? [] : ports.filter(({ state }) => state === "listening").map(({ port }) => `${address}:${port}`),
  );
}

function sayProof({ hosts, residue }: Proof, { done, warn, err }: Terminal): void {
  if (hosts.identical) done(`${hosts.path} is byte for byte what it was (${err("dim", `sha256 ${hosts.after.slice(0, 12)}…`)})`);
  else if (hosts.others) done(`${hosts.path} has nothing of this any more; another shipside's lines came or went meanwhile`);
  for (const what of residue) warn(`still there: ${what}`);
  if (residue.length > 0) return;
  done("nothing listens on the addresses any more");
  done("no file and no process is left");
}

/** For a moment ago: whoever takes it in between makes the demo fail, which is said. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
