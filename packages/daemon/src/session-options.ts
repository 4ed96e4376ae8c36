import { isAbsolute } from "node:path";
import { parseHostPort, ruleProblem } from "@shipside/tunnel";
import { daemonError } from "./errors.ts";
import { isSessionName, SESSION_NAME_HINT } from "./session-find.ts";
import { checkExpose, checkIntercept, incomingKey } from "./session-incoming-options.ts";
import type { SessionEnvOptions, SessionKind, SessionOptions, SessionOrigin } from "./session-info.ts";
import { checkMount, mountKey } from "./session-mount-options.ts";

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const STRINGS = ["workload", "container", "namespace", "kubeconfig", "context"] as const;

/**
 * Checks what came from a caller or over the control socket. Throws `SESSION_OPTIONS`, which says which option and what it may be;
 * nothing that isn't an option gets through.
 */
export function checkSessionOptions(given: unknown): SessionOptions {
  const invalid = (option: string, why: string, hint: string): Error =>
    daemonError("SESSION_OPTIONS", `${option} ${why}`, { hint, details: { option } });
  if (typeof given !== "object" || given === null) throw invalid("options", "must be an object", "see SessionOptions");
  const options = given as Record<string, unknown>;
  const checked: SessionOptions = {};

  const { kind = "teleport" } = options;
  if (!isKind(kind)) throw invalid("kind", `is ${JSON.stringify(kind)}`, 'use "teleport", "env", "expose", "intercept" or "mount"');
  checked.kind = kind;
  for (const name of STRINGS) {
    const value = options[name];
    if (value === undefined) continue;
    if (typeof value !== "string" || value === "")
      throw invalid(name, "must be a string that isn't empty", "leave it out for the default");
    checked[name] = value;
  }
  if (checked.namespace !== undefined) assertNamespace(checked.namespace, "namespace");

  const also = options["also"] ?? [];
  if (!Array.isArray(also)) throw invalid("also", "must be a list of namespaces", "leave it out for none");
  for (const name of also) assertNamespace(name, "also");
  checked.also = [...new Set(also as string[])].sort();

  if (options["services"] !== undefined) checked.services = checkRules(options["services"], kind, invalid);
  Object.assign(checked, checkReach(options, kind, invalid));
  if (options["name"] !== undefined) {
    if (!isSessionName(options["name"]))
      throw invalid("name", `${JSON.stringify(options["name"])} is no session's name`, SESSION_NAME_HINT);
    checked.name = options["name"];
  }
  if (options["origin"] !== undefined) checked.origin = checkOrigin(options["origin"], invalid);

  if (options["envFile"] !== undefined) {
    const { path, format } = (options["envFile"] ?? {}) as Record<string, unknown>;
    if (typeof path !== "string" || !isAbsolute(path)) {
      throw invalid("envFile.path", `is ${JSON.stringify(path)}`, "give an absolute path");
    }
    if (format !== undefined && typeof format !== "string")
      throw invalid("envFile.format", "must be a string", "such as sh, json, yaml");
    if (checked.workload === undefined) {
      throw invalid("envFile", "needs a workload: a namespace as such has no env", "name one: `deployment/core`");
    }
    checked.envFile = { path, ...(format !== undefined && { format }) };
  }
  if (options["env"] !== undefined) checked.env = checkEnvOptions(options["env"], invalid);
  if (kind === "env" && checked.workload === undefined)
    throw invalid("workload", "is needed for an env", "name one: `deployment/core`");
  if ((kind === "expose") !== (options["expose"] !== undefined) || (kind === "intercept") !== (options["intercept"] !== undefined))
    throw invalid(kind, "and its kind go together", 'such as { kind: "expose", expose: { service: "web", ports: ["80:8080"] } }');
  if ((kind === "expose" || kind === "intercept") && checked.workload !== undefined)
    throw invalid("workload", `is not of kind ${kind}`, "an exposed Service's stands in `expose`");
  if (kind === "mount" && options["mount"] === undefined) throw invalid("mount", "is needed", 'such as { dir: "/home/me/core" }');
  if (options["mount"] !== undefined) checked.mount = checkMount(options, invalid);
  if (options["capture"] !== undefined) {
    if (typeof options["capture"] !== "boolean") throw invalid("capture", "must be true or false", "leave it out for the default");
    checked.capture = options["capture"];
  }
  if (kind === "expose") checked.expose = checkExpose(options["expose"], invalid);
  if (kind === "intercept") checked.intercept = checkIntercept(options["intercept"], invalid);
  return checked;

  function assertNamespace(name: unknown, option: string): void {
    if (typeof name === "string" && LABEL.test(name)) return;
    throw invalid(
      option,
      `${JSON.stringify(name)} is no namespace's name`,
      "lower case letters, digits and `-`, at most 63 (RFC 1123)",
    );
  }
}

const KINDS: readonly unknown[] = ["teleport", "env", "expose", "intercept", "mount"] satisfies SessionKind[];
const isKind = (given: unknown): given is SessionKind => KINDS.includes(given);

function checkRules(given: unknown, kind: string, invalid: Invalid): readonly string[] {
  if (kind !== "teleport") throw invalid("services", "are of a teleport", "leave them out");
  if (!Array.isArray(given)) throw invalid("services", "must be a list of rules", 'such as ["*", "!metrics-*"]');
  for (const rule of given) {
    const problem = ruleProblem(rule);
    if (problem !== undefined)
      throw invalid(
        "services",
        `${JSON.stringify(rule)} ${problem}`,
        'a rule is "web", "*.shop", "web-*", "app=web", or one after "!"',
      );
  }
  return [...(given as string[])];
}

/** By which way services are reached. */
function checkReach(options: Record<string, unknown>, kind: string, invalid: Invalid): Partial<SessionOptions> {
  const { via, remoteHosts, relayImage } = options;
  const checked: Partial<SessionOptions> = {};
  if (kind !== "teleport" && (via ?? remoteHosts) !== undefined)
    throw invalid("via and remoteHosts", "are of a teleport", "leave them out");
  if (kind !== "teleport" && kind !== "mount" && relayImage !== undefined)
    throw invalid("relayImage", "is of a teleport or a mount", "leave it out");
  if (via !== undefined) {
    if (via !== "relay" && via !== "port-forward")
      throw invalid("via", `is ${JSON.stringify(via)}`, 'use "relay" or "port-forward", or leave it out for whichever is needed');
    checked.via = via;
  }
  if (remoteHosts !== undefined) {
    const fits = (host: unknown): boolean => typeof host === "string" && parseHostPort(host) !== undefined;
    if (!Array.isArray(remoteHosts) || !remoteHosts.every(fits))
      throw invalid(
        "remoteHosts",
        `are ${JSON.stringify(remoteHosts)}`,
        'each must be a name and a port, such as "db.internal:5432"',
      );
    if (via === "port-forward" && remoteHosts.length > 0)
      throw invalid("remoteHosts", "take a relay", 'leave `via: "port-forward"` out');
    checked.remoteHosts = [...new Set((remoteHosts as string[]).map((host) => host.toLowerCase()))].sort();
  }
  if (relayImage !== undefined) {
    if (typeof relayImage !== "string" || relayImage === "")
      throw invalid("relayImage", "must be the name of an image", "leave it out for the default");
    checked.relayImage = relayImage;
  }
  return checked;
}

function checkOrigin(given: unknown, invalid: Invalid): SessionOrigin {
  const { file, entry, digest } = (given ?? {}) as Record<string, unknown>;
  if (typeof file !== "string" || !isAbsolute(file) || typeof entry !== "string" || typeof digest !== "string")
    throw invalid("origin", "must say file, entry and digest", "see SessionOrigin");
  return { file, entry, digest };
}

export type Invalid = (option: string, why: string, hint: string) => Error;

function checkEnvOptions(given: unknown, invalid: Invalid): SessionEnvOptions {
  if (typeof given !== "object" || given === null) throw invalid("env", "must be an object", "see SessionEnvOptions");
  const options = given as Record<string, unknown>;
  const checked: SessionEnvOptions = {};
  const { from, set } = options;
  if (from !== undefined) {
    if (from !== "spec" && from !== "running") throw invalid("env.from", `is ${JSON.stringify(from)}`, 'use "spec" or "running"');
    checked.from = from;
  }
  for (const name of ["skipForbidden", "secrets", "follow"] as const) {
    const value = options[name];
    if (value === undefined) continue;
    if (typeof value !== "boolean") throw invalid(`env.${name}`, "must be true or false", "leave it out for the default");
    checked[name] = value;
  }
  for (const name of ["only", "except"] as const) {
    const value = options[name];
    if (value === undefined) continue;
    if (!Array.isArray(value) || !value.every((glob) => typeof glob === "string" && glob !== ""))
      throw invalid(`env.${name}`, "must be a list of globs", 'such as ["DB_*"]');
    checked[name] = value;
  }
  if (set !== undefined) {
    const fits = typeof set === "object" && set !== null && Object.entries(set).every(isVariable);
    if (!fits) throw invalid("env.set", "must be an object of names and texts", 'such as { LOG_LEVEL: "debug" }');
    checked.set = { ...(set as Record<string, string>) };
  }
  return checked;
}

/** What a process can have: a name without `=`, and no NUL in either. */
const isVariable = ([name, value]: [string, unknown]): boolean =>
  /^[^=\0]+$/.test(name) && typeof value === "string" && !value.includes("\0");

/**
 * What makes two sessions the same: where they are, and all they were asked. Parameters of one never reach another, so anything that
 * differs makes another session (which still shares its tunnels).
 */
export function sessionKey(
  options: SessionOptions,
  where: { context: string; cluster: string; user: string; server: string; namespace: string },
): string {
  const { kind, workload, container, also = [], kubeconfig, envFile, env, services, name, origin } = options;
  const { via, remoteHosts, relayImage, capture } = options;
  const { context, cluster, user, server, namespace } = where;
  const wish = [
    kind,
    workload,
    container,
    also,
    envFile,
    env,
    services,
    name,
    origin,
    via,
    remoteHosts,
    relayImage,
    capture,
    incomingKey(options),
    mountKey(options),
  ];
  return JSON.stringify([kubeconfig, context, cluster, user, server, namespace, ...wish]);
}
