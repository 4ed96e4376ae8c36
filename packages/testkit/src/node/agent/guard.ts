import { type ChildProcess, spawn } from "node:child_process";
import { findTool } from "../programs.ts";

/** Ends what an agent leaves behind when it is killed itself. */
export interface Guard {
  /** Watches over a process group. */
  add(pid: number): void;
  /** It has ended. */
  remove(pid: number): void;
  /** The directory is somebody else's business now. */
  release(): void;
  end(): void;
}

/**
 * Reads what to watch over; at the end of its input, which comes with the agent's end, everything that is left goes. The directory
 * stays while the node lives, which goes on with another agent.
 */
const SCRIPT = `
pids= directory=$1 node=$2
while read -r verb pid; do
  left=
  for each in $pids; do [ "$each" = "$pid" ] || left="$left $each"; done
  case $verb in
    add) pids="$left $pid" ;;
    remove) pids=$left ;;
    release) directory= ;;
  esac
done
for each in $pids; do kill -9 "-$each"; done
[ -z "$directory" ] || for try in 1 2 3 4 5 6; do kill -0 "$node" || rm -rf "$directory"; sleep 0.2; done`;

/**
 * A small process beside the agent, for where no process namespace ends with it. It is in no group of anybody's: it outlives the agent
 * and whoever started the agent, by as long as it takes to kill what they left and to remove `directory`, unless the process `node`, to
 * which that belongs, is still there.
 */
export function startGuard(directory = "", node = ""): Guard {
  const child: ChildProcess = spawn(findTool("sh"), ["-c", SCRIPT, "shipside-guard", directory, node], {
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  child.on("error", () => {});
  child.stdin!.on("error", () => {});
  child.unref();
  const say = (line: string): void => void child.stdin!.write(`${line}\n`);
  return {
    add: (pid) => say(`add ${pid}`),
    remove: (pid) => say(`remove ${pid}`),
    release: () => say("release"),
    end: () => void child.kill("SIGKILL"),
  };
}
