import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Agent, openAgent } from "../agent/client.ts";
import { programPath } from "../program.ts";

/** The command of an agent, by this process's Node. */
export const podAgentArgv = (): string[] => [
  process.execPath,
  "--disable-warning=ExperimentalWarning",
  programPath("node/agent/pod-agent"),
];

/** Agents start in half the time when Node needn't compile them again. */
export const agentEnv = (): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  NODE_COMPILE_CACHE: join(tmpdir(), `node-compile-cache-${process.getuid?.() ?? "user"}`),
});

export const openPodAgent = (cwd: string, wrapper: readonly string[] = []): Promise<Agent> =>
  openAgent([...wrapper, ...podAgentArgv()], { cwd, env: agentEnv() });
