import type { ServiceInfo } from "@shipside/daemon/client";
import type { ListedSession } from "./commands/session.ts";
import { incomingFacts } from "./incoming-facts.ts";
import { mountFacts } from "./mount-facts.ts";
import type { Paint } from "./terminal.ts";

/** Columns as wide as their widest cell; the last one runs on. */
function table(rows: readonly (readonly string[])[], paint: Paint): string {
  const widths = rows.reduce<number[]>((max, row) => row.map((cell, i) => Math.max(max[i] ?? 0, cell.length)), []);
  return rows
    .map((row, at) => {
      const line = row.map((cell, i) => cell.padEnd(i === row.length - 1 ? 0 : widths[i]! + 3)).join("");
      return at === 0 ? paint("dim", line.trimEnd()) : line.trimEnd();
    })
    .join("\n");
}

export function sessionTable(sessions: readonly ListedSession[], paint: Paint): string {
  return table(
    [["ID", "NAME", "KIND", "CONTEXT", "NAMESPACE", "WORKLOAD", "SERVICES", "NAMES", "PROCESS"], ...sessions.map(row)],
    paint,
  );
}

function row({ id, name = "-", kind, context, namespace, also, workload, services, names, pid, daemon }: ListedSession): string[] {
  const where = { hosts: "hosts file", commands: "its command", none: "-" }[names.where];
  return [
    id,
    name,
    kind,
    context,
    [namespace, ...also].join(", "),
    workload ?? "-",
    String(services.length),
    where,
    daemon ? `daemon ${pid}` : String(pid),
  ];
}

export function sessionDetails(sessions: readonly ListedSession[], paint: Paint): string {
  return sessions
    .map((session) => {
      const {
        id,
        name,
        kind,
        workload,
        selection,
        origin,
        namespace,
        context,
        server,
        openedAt,
        envFile,
        services,
        stale,
        holders,
        incoming,
        mount,
      } = session;
      const facts = [
        `${paint("bold", id)}  ${name === undefined ? "" : `${paint("bold", name)}, `}${kind} of ${workload ?? `namespace ${namespace}`}`,
        `  ${context}, namespace ${namespace}, ${server}`,
        `  open since ${openedAt}, held ${holders === 1 ? "once" : `${holders} times`}, by ${session.daemon ? "the daemon" : "process"} ${session.pid}`,
        ...(origin ? [`  ${origin.entry} of ${origin.file}`] : []),
        ...(selection ? [`  services by the rules ${selection.join(" ")}`] : []),
        ...(envFile ? [`  ${envFile.variables} variables in ${envFile.path} (${envFile.format})`] : []),
        ...(incoming ? incomingFacts(incoming).map((line) => `  ${line}`) : []),
        ...(mount ? mountFacts(mount, paint).map((line) => `  ${line}`) : []),
        ...stale.map((error) => `  ${paint("yellow", `may be out of date: ${error.message}`)}`),
      ];
      const lines = services.flatMap((service) => serviceRows(service));
      return [
        ...facts,
        ...(lines.length > 0 ? [indent(table([["SERVICE", "ADDRESS", "PORT", "STATE"], ...lines], paint))] : []),
      ].join("\n");
    })
    .join("\n\n");
}

function serviceRows({ namespace, name, address = "-", unsupported, ports }: ServiceInfo): string[][] {
  // A host that only the cluster reaches is in no namespace.
  const label = namespace === "" ? name : `${name}.${namespace}`;
  if (unsupported !== undefined) return [[label, address, "-", unsupported]];
  return ports.map((port, i) => [
    i === 0 ? label : "",
    i === 0 ? address : "",
    `${port.port}/${port.protocol}`,
    port.error?.message ??
      port.reason ??
      (port.ready === 0 ? "no pod is ready" : `${port.ready} ${port.ready === 1 ? "pod" : "pods"} ready`),
  ]);
}

const indent = (text: string): string => text.replace(/^/gm, "  ");
