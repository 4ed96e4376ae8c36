import { isAbsolute } from "node:path";
import { daemonError } from "./errors.ts";
import type { SessionOptions } from "./session-info.ts";

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
  if (kind !== "teleport" && kind !== "env") throw invalid("kind", `is ${JSON.stringify(kind)}`, 'use "teleport" or "env"');
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
  if (kind === "env" && checked.workload === undefined)
    throw invalid("workload", "is needed for an env", "name one: `deployment/core`");
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

/**
 * What makes two sessions the same: where they are, and all they were asked. Parameters of one never reach another, so anything that
 * differs makes another session (which still shares its tunnels).
 */
export function sessionKey(
  options: SessionOptions,
  where: { context: string; cluster: string; user: string; server: string; namespace: string },
): string {
  const { kind, workload, container, also = [], kubeconfig, envFile } = options;
  const { context, cluster, user, server, namespace } = where;
  return JSON.stringify([kubeconfig, context, cluster, user, server, namespace, kind, workload, container, also, envFile]);
}
