import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, resolve } from "node:path";
import type { SessionOptions } from "@shipside/daemon/client";
import { flag, type Invocation, list, text } from "./command.ts";
import { cliError } from "./errors.ts";

/** What a command line asks of a session. Paths become absolute: a daemon stands in another folder. */
export function sessionOptions(
  kind: "teleport" | "env",
  invocation: Invocation,
  env: NodeJS.ProcessEnv = process.env,
): SessionOptions {
  const words = kind === "env" ? workloadWords(invocation.words) : invocation.words;
  const options: SessionOptions = { kind };
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
  return options;
}

/** `deploy/core .env` and `deploy core .env`: how many of the words name the workload. */
const workloadWords = (words: readonly string[]): readonly string[] => words.slice(0, words[0]?.includes("/") ? 1 : 2);

/** As kubectl finds it: the option, `KUBECONFIG`, `~/.kube/config`. Said in full, so that a daemon uses this shell's and not its own. */
function kubeconfigOf(invocation: Invocation, env: NodeJS.ProcessEnv): string | undefined {
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
