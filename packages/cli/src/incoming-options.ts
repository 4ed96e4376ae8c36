import type { SessionExposeOptions, SessionInterceptOptions, SessionOptions } from "@shipside/daemon/client";
import { captureOption } from "./capture-option.ts";
import { flag, type Invocation, list, text } from "./command.ts";
import { cliError } from "./errors.ts";
import { kubeconfigOf } from "./session-options.ts";

/** What `shipside expose` and `shipside intercept` ask of a session. Throws `USAGE`. */
export function incomingOptions(kind: "expose" | "intercept", invocation: Invocation): SessionOptions {
  const options: SessionOptions = { kind, ...captureOption(invocation) };
  for (const name of ["namespace", "context", "name"] as const) {
    const value = text(invocation, name);
    if (value !== undefined) options[name] = value;
  }
  const kubeconfig = kubeconfigOf(invocation);
  if (kubeconfig !== undefined) options.kubeconfig = kubeconfig;
  const ports = portsOf(invocation);
  const grace = seconds(invocation, "grace", 1);
  const image = text(invocation, "image");
  const common = {
    ...(ports.length > 0 && { ports }),
    ...(grace !== undefined && { graceSeconds: grace }),
    ...(image !== undefined && { image }),
  };
  if (kind === "expose") options.expose = { service: invocation.words[0]!, ...common, ...exposeOptions(invocation) };
  else options.intercept = { service: serviceOf(invocation.words), ...common, ...interceptOptions(invocation) };
  return options;
}

/** `service/core`, `service core`, `svc/core`, and `core`. */
export function serviceOf(words: readonly string[]): string {
  const parts = words.flatMap((word) => word.split("/"));
  const [kind, name] = parts.length === 1 ? ["service", parts[0]] : parts;
  if (parts.length <= 2 && name && /^(services?|svc)$/i.test(kind!)) return name;
  throw cliError("USAGE", `${words.join(" ")} is no Service: only Services can be intercepted`, {
    hint: "shipside intercept service/NAME; a workload's traffic comes by the Services that select its pods",
  });
}

/** `--port REMOTE[:LOCAL]`, and `-r REMOTE -l LOCAL` for one. */
function portsOf(invocation: Invocation): string[] {
  const ports = [...list(invocation, "port")];
  const [remote, local] = [text(invocation, "remote"), text(invocation, "local")];
  if (remote !== undefined) ports.push(local === undefined ? remote : `${remote}:${local}`);
  else if (local !== undefined)
    throw cliError("USAGE", "-l says where a port goes on this machine, and no port is named", {
      hint: `-r 80 -l ${local}, or --port 80:${local}`,
    });
  return ports;
}

function exposeOptions(invocation: Invocation): Partial<SessionExposeOptions> {
  const workload = text(invocation, "workload");
  return workload === undefined ? {} : { workload };
}

/** Which traffic, and how it is taken. */
export function interceptOptions(invocation: Invocation): Partial<SessionInterceptOptions> {
  const match: NonNullable<SessionInterceptOptions["match"]> = {};
  for (const [name, field] of [
    ["header", "headers"],
    ["method", "methods"],
    ["baggage", "baggage"],
  ] as const) {
    const given = list(invocation, name);
    if (given.length > 0) match[field] = given;
  }
  const path = text(invocation, "path");
  if (path !== undefined) match.path = path;
  if (flag(invocation, "user")) match.user = true;
  if (flag(invocation, "all")) match.all = true;
  const hold = seconds(invocation, "hold", 0);
  const tlsSecret = text(invocation, "tls-secret");
  return {
    ...(Object.keys(match).length > 0 && { match }),
    ...(flag(invocation, "tcp") && { tcp: true }),
    ...(tlsSecret !== undefined && { tlsSecret }),
    ...(flag(invocation, "mirror") && { mirror: true }),
    ...(flag(invocation, "take-over") && { takeOver: true }),
    ...(hold !== undefined && { holdMs: hold * 1000 }),
  };
}

function seconds(invocation: Invocation, name: string, least: number): number | undefined {
  const given = text(invocation, name);
  if (given === undefined) return undefined;
  const value = given.trim() === "" ? Number.NaN : Number(given);
  if (value >= least && value <= 86_400) return value;
  throw cliError("USAGE", `--${name} ${JSON.stringify(given)} is no number of seconds`, { hint: `${least} to 86400, such as 60` });
}
