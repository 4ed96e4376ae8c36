import { needsRoot, tryConnectControl } from "@shipside/daemon/client";
import { flag, type Invocation } from "./command.ts";
import { cliError } from "./errors.ts";

/** Whether a teleport's command has namespaces of its own, and what is to be said of it. */
export interface RootlessChoice {
  taken: boolean;
  said: readonly string[];
}

const NOT: RootlessChoice = { taken: false, said: [] };

/** What is for others than the command, to whom its addresses and paths would mean nothing. */
const FOR_OTHERS = ["file", "mount", "foreground", "clean"];

/**
 * As the command line says. Where it doesn't, a command has namespaces of its own where it gets more by them and loses nothing: on Linux,
 * without root, without a daemon, where nothing is asked for that others are to see, and where the rest of the world can be reached whole.
 */
export async function chooseRootless(invocation: Invocation, signal: AbortSignal): Promise<RootlessChoice> {
  const [asked, declined] = [flag(invocation, "rootless"), flag(invocation, "no-rootless")];
  if (asked && declined) throw cliError("USAGE", "both --rootless and --no-rootless", { hint: "leave one of them out" });
  if (asked) return { taken: true, said: [] };
  if (declined || process.platform !== "linux" || !invocation.command) return NOT;
  if (FOR_OTHERS.some((name) => invocation.options[name] !== undefined)) return NOT;
  if ((await needsRoot()).length === 0 || (await daemonRuns())) return NOT;
  const { whyNotRootless } = await import("@shipside/daemon/rootless");
  const obstacle = await whyNotRootless(signal);
  if (!obstacle)
    return {
      taken: true,
      said: [
        "no helper runs and you are not root: the command has namespaces of its own, as by `shipside run` (or: --no-rootless)",
      ],
    };
  const { message, hint } = obstacle;
  return {
    taken: false,
    said: [
      `the command has no namespaces of its own, by which it would have ClusterIPs and low ports: ${message}`,
      ...(hint === undefined ? [] : [`to change that: ${hint}`]),
    ],
  };
}

/** What means something only where the command has paths, ports and a name of its own: why, and what to do instead. */
const INSIDE: ReadonlyArray<readonly [name: string, why: string, instead: string]> = [
  ["volumes", "a path that others share can't be the workload's", "--mount DIR has them elsewhere"],
  ["host-port", "the command has this machine's localhost as it is", "leave it out"],
  ["hostname", "the command has this machine's host name", "leave it out"],
];

/** Throws `USAGE`. */
export function refuseInsideOptions(invocation: Invocation, { said }: RootlessChoice): void {
  for (const [name, why, instead] of INSIDE) {
    if (invocation.options[name] === undefined) continue;
    throw cliError("USAGE", `--${name}: ${why}`, {
      hint: [...said, `use \`shipside run\`, whose command has its own; or ${instead}`].join("\n"),
    });
  }
}

/** It has the session then, and what it lacks it has said. One that can't be asked says so later. */
async function daemonRuns(): Promise<boolean> {
  const client = await tryConnectControl().catch(() => undefined);
  await client?.close();
  return client !== undefined;
}
