import { isArriving, type ProbeResult, type SessionInfo, type TunnelProbe } from "@shipside/daemon/client";
import { incomingFacts } from "./incoming-facts.ts";
import { mountFacts } from "./mount-facts.ts";
import { explain, type Paint } from "./terminal.ts";

/** How many broken ports of a kind are told one by one. */
const TOLD = 5;

const WHERE = {
  name: "its name",
  listener: "its listener on this machine",
  endpoint: "the cluster: no pod",
  pod: "its pod",
} as const;

/** A low port without root: that was chosen when it was opened, as its names were. */
const needsRoot = ({ broken }: TunnelProbe): boolean =>
  broken?.step === "listener" && (broken.error.causes ?? []).some(({ code }) => code === "LISTEN_FORBIDDEN");

/** A service without a ready pod is the cluster's state, and a port that needs root this user's: neither is a fault of what is open. */
export const isWell = ({ stale, incoming }: SessionInfo, probe: ProbeResult | undefined): boolean =>
  stale.length === 0 &&
  (!incoming || isArriving(incoming)) &&
  (!probe || !("error" in probe)) &&
  (probe?.tunnels.probes ?? []).every((each) => !each.broken || each.broken.step === "endpoint" || needsRoot(each));

/** A session's lines. */
export function sessionStatus(
  session: SessionInfo,
  probe: ProbeResult | undefined,
  { details, paint }: { details: boolean; paint: Paint },
): string[] {
  const { id, name, workload, namespace, context, stale, names, incoming, mount } = session;
  const answer = !probe
    ? "closing"
    : "error" in probe
      ? paint("red", `the API server does not answer: ${probe.error.message}`)
      : paint("green", `the API server answers in ${probe.answeredMs} ms`);
  const lines = [`${paint("bold", name ?? id)} ${workload ?? `namespace ${namespace}`} in ${context}: ${answer}`];
  for (const error of stale) lines.push(paint("yellow", `  may be out of date: ${error.message}`));
  if (probe) lines.push(...transportLine(probe), ...tunnelLines(probe, details, paint).map((line) => `  ${line}`));
  if (incoming)
    lines.push(...incomingFacts(incoming).map((line) => (isArriving(incoming) ? `  ${line}` : paint("yellow", `  ${line}`))));
  if (mount) lines.push(...mountFacts(mount, paint).map((line) => `  ${line}`));
  if (names.where === "commands") lines.push(paint("yellow", `  names only for its command: ${names.reason?.message ?? ""}`));
  return lines.map((line) => `  ${line}`);
}

function transportLine({ transport }: ProbeResult): string[] {
  const { carrier, connections, streams, stuck } = transport;
  if (carrier === undefined) return [];
  const plural = (n: number, one: string): string => `${n} ${one}${n === 1 ? "" : "s"}`;
  const behind = stuck > 0 ? `, ${plural(stuck, "connection")} held up by a reader, the pod or the network` : "";
  return [`  port-forward by ${carrier}: ${plural(connections, "connection")}, ${plural(streams, "stream")}${behind}`];
}

function tunnelLines({ tunnels, ...probe }: ProbeResult, details: boolean, paint: Paint): string[] {
  const { of, probes, namesSkipped } = tunnels;
  if (of === 0) return [];
  const unserved = probes.filter(needsRoot);
  const asked = tunnels.asked - unserved.length;
  const broken = probes.filter((each) => each.broken && !needsRoot(each));
  const sample = tunnels.asked < of ? ` (${asked} of ${of} tried)` : "";
  const slowest = Math.max(0, ...probes.map(({ ms }) => ms.pod ?? 0));
  const lines =
    asked === 0
      ? []
      : broken.length === 0
        ? [
            paint(
              "green",
              `${asked === 1 ? "its port answers" : `all ${asked} ports answer`} from end to end${sample}, the slowest pod in ${slowest} ms`,
            ),
          ]
        : [paint("yellow", `${broken.length} of ${asked} ports ${broken.length === 1 ? "is" : "are"} broken${sample}`)];
  if (unserved[0] && !details) lines.push(...unservedLines(unserved, paint));
  if (namesSkipped !== undefined) lines.push(paint("dim", `names were not looked up: ${namesSkipped}`));
  if (details) return [...lines, ...probes.map((each) => probeLine(each, paint))];
  // Where the API server is away, every pod is: that has been said.
  const own = "error" in probe ? broken.filter((each) => each.broken?.step !== "pod") : broken;
  for (const each of own.slice(0, TOLD)) lines.push(...brokenLines(each, paint));
  if (own.length > TOLD) lines.push(`and ${own.length - TOLD} more: \`shipside status --details\` shows them`);
  return lines;
}

function unservedLines(unserved: readonly TunnelProbe[], paint: Paint): string[] {
  const named = unserved.slice(0, TOLD).map(({ service, port }) => `${service}:${port}`);
  const more = unserved.length > TOLD ? ` and ${unserved.length - TOLD} more` : "";
  const verb = unserved.length === 1 ? "is" : "are";
  return [
    paint("yellow", `${named.join(", ")}${more} ${verb} not served on this machine: ports below 1024 need root here`),
    ...explain({ ...unserved[0]!.broken!.error, causes: [] }, paint).map((line) => `  ${line}`),
  ];
}

function brokenLines({ service, port, broken }: TunnelProbe, paint: Paint): string[] {
  if (!broken) return [];
  return [
    paint("yellow", `${service}:${port} breaks at ${WHERE[broken.step]}: ${broken.error.message}`),
    ...explain(broken.error, paint).map((line) => `  ${line}`),
  ];
}

function probeLine(probe: TunnelProbe, paint: Paint): string {
  const { service, port, address, ms, pod, broken } = probe;
  const steps = (["name", "listener", "endpoint", "pod"] as const)
    .filter((step) => step !== "endpoint" && ms[step] !== undefined)
    .map((step) => `${step} ${ms[step]} ms`);
  const where = [address, pod?.name].filter(Boolean).join(" → ");
  return [
    `${service}:${port}`,
    where,
    steps.join(", "),
    broken && paint("yellow", `breaks at ${WHERE[broken.step]}: ${broken.error.message}`),
  ]
    .filter(Boolean)
    .join("  ");
}
