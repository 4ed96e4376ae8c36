import { spawn } from "node:child_process";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { normalise } from "./normalise.ts";
import type { Step } from "./step.ts";

export interface Setting {
  kubectl: string;
  kubeconfig: string;
  namespace: string;
  /** HOME of the command: its caches and what it writes. */
  home: string;
  /** The node that `{node}` stands for. */
  node: string;
}

export interface Outcome {
  /** Null where the command was ended by us. */
  exit: number | null;
  output: string;
  /** What the step's request was answered. */
  answer?: string;
}

/** Runs a step, again and again for as long as it may take. */
export async function runStep(step: Step, setting: Setting): Promise<Outcome> {
  const deadline = Date.now() + (step.within ?? 0);
  for (;;) {
    const outcome = await once(step, setting);
    if (fits(step, outcome) || Date.now() >= deadline) return outcome;
    await sleep(100);
  }
}

export function fits(step: Step, { exit, output, answer }: Outcome): boolean {
  // One that we end says by its own lights how it was ended.
  if (!step.until && exit !== (step.exit ?? 0)) return false;
  const text = answer ?? output;
  return typeof step.expect === "string" ? text === step.expect : step.expect.test(text);
}

function once(step: Step, { kubectl, kubeconfig, namespace, home, node }: Setting): Promise<Outcome> {
  const args = step.args.map((arg) => arg.replaceAll("{ns}", namespace).replaceAll("{home}", home).replaceAll("{node}", node));
  const ofNode = step.args.some((arg) => arg.includes("{node}"));
  const child = spawn(kubectl, [...(step.unscoped ? [] : ["-n", namespace]), ...args], {
    env: { PATH: process.env["PATH"], HOME: home, KUBECONFIG: kubeconfig, ...step.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  let answer: Promise<string> | undefined;
  const look = (): void => {
    const match = step.until?.exec(stdout + stderr);
    if (!match || answer) return;
    answer = step.request ? get(step.request.replace("$1", match[1] ?? "")) : Promise.resolve("");
    void answer.finally(() => child.kill());
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    look();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    look();
  });
  child.stdin.on("error", () => {});
  child.stdin.end((step.stdin ?? "").replaceAll("{ns}", namespace));
  const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", async (exit) => {
      clearTimeout(timer);
      const answered = step.request ? await answer : undefined;
      let output = normalise(stdout + stderr, namespace).replaceAll(home, "{home}");
      if (ofNode) output = output.replaceAll(node, "{node}");
      resolve({ exit, output, ...(answered !== undefined && { answer: answered }) });
    });
  });
}

function get(url: string): Promise<string> {
  return new Promise((resolve) => {
    const call = request(url, { agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.on("end", () => resolve(body));
    });
    call.on("error", (error) => resolve(String(error)));
    call.end();
  });
}
