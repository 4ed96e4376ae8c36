import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { errorToJson, hasCode } from "@shipside/core";
import { listContexts } from "@shipside/kube";
import { type Check, count, type Finding, ok, problem, some, warning } from "../check.ts";
import type { DoctorContext } from "../context.ts";

/** Which files, what is wrong with each by itself, and the context that they come to. */
export const kubeconfig: Check = {
  id: "kubeconfig",
  title: "kubeconfig",
  async run(context) {
    const files = filesOf(context);
    const findings = (await Promise.all(files.map((file) => oneFile(file, files.length > 1)))).flat();
    try {
      const { info, sources } = await context.facts();
      const text = `context ${info.context}, namespace ${info.namespace}, from ${some(sources)}`;
      const { context: name, cluster, namespace, server } = info;
      findings.unshift(ok(text, { files: sources, context: name, cluster, namespace, server }));
    } catch (error) {
      const { code, message, hint } = errorToJson(error);
      // A file's own fault has been told with the file.
      if (!findings.some(({ text }) => text === message))
        findings.unshift(problem(message, hint ?? "`kubectl config view` shows what is read", { code }));
    }
    return findings;
  },
};

function filesOf({ where, env }: DoctorContext): string[] {
  const list = where.kubeconfig ?? env["KUBECONFIG"];
  const files = list ? list.split(delimiter).filter((file) => file !== "") : [join(homedir(), ".kube", "config")];
  return files.map((file) => resolve(file));
}

async function oneFile(file: string, several: boolean): Promise<Finding[]> {
  const there = await access(file).then(() => true, hasCodeOtherThanMissing);
  if (!there) return several ? [warning(`${file} does not exist and is passed over`, "take it out of KUBECONFIG")] : [];
  try {
    const contexts = await listContexts({ kubeconfig: file });
    return several ? [ok(`${file}: ${count(contexts.length, "context")}`)] : [];
  } catch (error) {
    // Half a configuration is no fault where several files make one.
    if (hasCode(error, "KUBE_NO_CONFIG")) return several ? [ok(`${file}: no context`)] : [];
    const { code, message, hint } = errorToJson(error);
    return [problem(message, hint ?? `correct ${file}, or take it out of KUBECONFIG`, { code, file })];
  }
}

/** What can't be looked at is there, and reading it tells why. */
const hasCodeOtherThanMissing = (error: unknown): boolean => !hasCode(error, "ENOENT", "ENOTDIR");
