import { basename, relative } from "node:path";
import type { Interrupt } from "../interrupt.ts";
import type { Terminal } from "../terminal.ts";
import type { NamesBy } from "./place.ts";

export interface Kept {
  kubeconfig: string;
  names: NamesBy;
  services: ReadonlyArray<{ name: string; address: string | undefined }>;
}

/** Shows what to play with, and waits for Ctrl-C. */
export async function keepRunning(terminal: Terminal, interrupt: Interrupt, kept: Kept): Promise<void> {
  const { err } = terminal;
  const leaf = kept.services.find(({ name }) => name.startsWith("leaf."));
  const host = kept.names === "hosts" ? "leaf.sample" : (leaf?.address ?? "leaf.sample");
  const shipside = ownCommand(process.argv[1] ?? "shipside");
  const inSample = `deployment/core -k ${kept.kubeconfig} -n sample`;
  const rootless = kept.names === "rootless";
  const tries: Array<[string, string]> = [
    rootless
      ? [`${shipside} run ${inSample} -- curl http://leaf:3010`, "call a service of the cluster, in namespaces of its own"]
      : [`curl http://${host}:3010`, "call a service of the cluster"],
    [`kubectl --kubeconfig ${kept.kubeconfig} -n sample get pods`, "it is a real API: any client works"],
    [`${shipside} session list --details`, "what is open, with addresses"],
    [`${shipside} ${rootless ? "run" : "teleport"} ${inSample} -- env`, "core's environment in a command of yours"],
    [`${shipside} status`, "whether it works now"],
  ];
  terminal.say();
  terminal.say(err("bold", "It stays up. In another terminal, try:"));
  for (const [command, does] of tries) terminal.say(`    ${err("cyan", command)}\n        ${err("dim", does)}`);
  terminal.say();
  terminal.say("Ctrl-C ends it, and cleans up.");
  await interrupt.came;
}

/** How this program was called: by its name where it is installed, by its file from a clone. */
function ownCommand(program: string): string {
  if (basename(program) === "shipside") return "shipside";
  const near = relative(process.cwd(), program);
  return `node ${near.startsWith("..") ? program : near}`;
}
