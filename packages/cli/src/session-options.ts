import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, resolve } from "node:path";
import { isSessionName, SESSION_NAME_HINT, type SessionEnvOptions, type SessionOptions } from "@shipside/daemon/client";
import { captureOption } from "./capture-option.ts";
import { flag, type Invocation, list, text } from "./command.ts";
import { cliError } from "./errors.ts";
import { sourceOf } from "./source-option.ts";
import { teleportVolumes } from "./volume-options.ts";

/** What a command line asks of a session. Paths become absolute: a daemon stands in another folder. */
export function sessionOptions(
  kind: "teleport" | "env",
  invocation: Invocation,
  env: NodeJS.ProcessEnv = process.env,
): SessionOptions {
  const words = kind === "env" ? workloadWords(invocation.words) : invocation.words;
  const options: SessionOptions = { kind, ...captureOption(invocation) };
  const isNamespace = kind === "teleport" && words.length === 2 && /^(namespaces?|ns)$/i.test(words[0]!);
  const workload = isNamespace ? undefined : words.join("/");
  const namespace = isNamespace ? words[1] : (text(invocation, "namespace") ?? undefined);
  if (isNamespace && text(invocation, "namespace") !== undefined && text(invocation, "namespace") !== namespace) {
    throw cliError("USAGE", `two home namespaces: ${namespace} and ${text(invocation, "namespace")}`, {
      hint: `further ones are given by -a: shipside teleport namespace ${namespace} -a ${text(invocation, "namespace")}`,
    });
  }
  if (workload !== undefined) options.workload = workload;
  if (namespace !== undefined) options.namespace = namespace;
  const also = list(invocation, "also");
  if (also.length > 0) options.also = also;
  for (const name of ["context", "container"] as const) {
    const value = text(invocation, name);
    if (value !== undefined) options[name] = value;
  }
  const kubeconfig = kubeconfigOf(invocation, env);
  if (kubeconfig !== undefined) options.kubeconfig = kubeconfig;
  const file = text(invocation, "file") ?? (kind === "env" ? invocation.words[words.length] : undefined);
  const format = text(invocation, "format");
  if (file !== undefined) options.envFile = { path: resolve(file), ...(format !== undefined && { format }) };
  else if (format !== undefined && kind === "teleport") {
    throw cliError("USAGE", "-m says a file's form, and there is no file", { hint: "name it: -f .env" });
  }
  const volumes = teleportVolumes(invocation, workload);
  if (volumes) options.mount = volumes;
  const wanted = envOptions(invocation);
  if (wanted) options.env = wanted;
  const services = kind === "teleport" ? serviceRulesOf(invocation) : [];
  if (services.length > 0) options.services = services;
  if (kind === "teleport") Object.assign(options, reachOptions(invocation));
  const name = text(invocation, "name");
  if (name !== undefined) {
    if (!isSessionName(name)) throw cliError("USAGE", `--name ${JSON.stringify(name)} is no name`, { hint: SESSION_NAME_HINT });
    options.name = name;
  }
  return options;
}

/** By which way services are reached, and which hosts besides. */
function reachOptions(invocation: Invocation): Pick<SessionOptions, "via" | "remoteHosts" | "relayImage"> {
  const via = text(invocation, "via");
  if (via !== undefined && via !== "relay" && via !== "port-forward")
    throw cliError("USAGE", `--via ${JSON.stringify(via)}: there is relay and port-forward`, {
      hint: "without it a relay is used for what port-forward can't do",
    });
  const hosts = list(invocation, "host").flatMap((given) => given.split(","));
  const bad = hosts.find((host) => !/^[^\s:]*[a-z][^\s:]*:\d+$/i.test(host));
  if (bad !== undefined)
    throw cliError("USAGE", `--host ${JSON.stringify(bad)} is no name and port`, { hint: "such as --host db.internal:5432" });
  const image = text(invocation, "image");
  return {
    ...(via !== undefined && { via }),
    ...(hosts.length > 0 && { remoteHosts: hosts }),
    ...(image !== undefined && { relayImage: image }),
  };
}

/** `--services a,b` and `--exclude c` as rules. Commas part rules, but not the parts of a label selector. */
function serviceRulesOf(invocation: Invocation): string[] {
  const parts = (name: string): string[] =>
    list(invocation, name)
      .flatMap((given) => (/=|\s(not)?in\s*\(/.test(given) ? [given] : given.split(",")))
      .map((rule) => rule.trim())
      .filter((rule) => rule !== "");
  return [...parts("services"), ...parts("exclude").map((rule) => `!${rule.replace(/^!/, "")}`)];
}

/** Which env, and what of it. */
function envOptions(invocation: Invocation): SessionEnvOptions | undefined {
  const wanted: SessionEnvOptions = {};
  const from = sourceOf(invocation);
  if (from !== undefined) wanted.from = from;
  for (const name of ["only", "except"] as const) {
    const globs = list(invocation, name).filter((glob) => glob !== "");
    if (globs.length > 0) wanted[name] = globs;
  }
  const pairs = list(invocation, "set").map((pair): [string, string] => {
    const at = pair.indexOf("=");
    if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
    // What stands there may be a value: it isn't repeated.
    throw cliError("USAGE", "--set takes NAME=VALUE", { hint: "such as --set LOG_LEVEL=debug" });
  });
  if (pairs.length > 0) wanted.set = Object.fromEntries(pairs);
  if (flag(invocation, "no-secrets")) wanted.secrets = false;
  if (flag(invocation, "skip-forbidden")) wanted.skipForbidden = true;
  if (flag(invocation, "watch") || flag(invocation, "restart-on-change")) wanted.follow = true;
  return Object.keys(wanted).length > 0 ? wanted : undefined;
}

/** `deploy/core .env`, `deploy core .env` and `core .env`: which of the words name the workload. A name has no `/`, and begins with no dot. */
const workloadWords = (words: readonly string[]): readonly string[] =>
  words.slice(0, words[0]?.includes("/") || /^\.|\//.test(words[1] ?? "") ? 1 : 2);

/** As kubectl finds it: the option, `KUBECONFIG`, `~/.kube/config`. Said in full, so that a daemon uses this shell's and not its own. */
export function kubeconfigOf(invocation: Invocation, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const given = text(invocation, "kubeconfig") ?? env["KUBECONFIG"];
  if (!given) {
    const usual = resolve(homedir(), ".kube", "config");
    return existsSync(usual) ? usual : undefined;
  }
  return given
    .split(delimiter)
    .filter((path) => path !== "")
    .map((path) => resolve(path))
    .join(delimiter);
}

export const wantsForeground = (invocation: Invocation): boolean => flag(invocation, "foreground");
