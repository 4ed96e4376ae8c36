import { type Agent, openAgent } from "../agent/client.ts";
import { programPath } from "../program.ts";

/** The command of an agent, by this process's Node. */
const podAgentArgv = (): string[] => [
  process.execPath,
  "--disable-warning=ExperimentalWarning",
  programPath("node/agent/pod-agent"),
];

/**
 * `cwd` is where the agent keeps its sockets, and what Node compiled, from which the next agent starts faster. With `adopt`, the agent
 * removes that directory when this process disappears without closing it.
 */
export const openPodAgent = (cwd: string, wrapper: readonly string[] = [], adopt = false): Promise<Agent> =>
  openAgent([...wrapper, ...podAgentArgv(), ...(adopt ? [cwd, String(process.pid)] : [])], {
    cwd,
    sharesProcesses: wrapper.length === 0,
    // Relative, so that an agent which starts when the directory is being removed can't make it again.
    env: { PATH: process.env["PATH"] ?? "", NODE_COMPILE_CACHE: "compile-cache" },
  });
