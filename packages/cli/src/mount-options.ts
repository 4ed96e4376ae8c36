import { isSessionName, SESSION_NAME_HINT, type SessionOptions } from "@shipside/daemon/client";
import { flag, type Invocation, list, text } from "./command.ts";
import { directory } from "./directory.ts";
import { cliError } from "./errors.ts";
import { kubeconfigOf } from "./session-options.ts";

/** What `shipside mount` asks of a session: `deployment/core DIR`, `deployment core DIR`, `core DIR`. Throws `USAGE`. */
export function mountOptions(invocation: Invocation): SessionOptions {
  const { words } = invocation;
  const dir = words.at(-1)!;
  const workload = words.slice(0, -1);
  if (workload.length === 2 && workload[0]!.includes("/"))
    throw cliError("USAGE", `${words.join(" ")}: one workload and one directory are needed`, {
      hint: "shipside mount deployment/core ./core-root",
    });
  const [only, driver] = [list(invocation, "only").filter((name) => name !== ""), text(invocation, "driver")];
  const options: SessionOptions = {
    kind: "mount",
    workload: workload.join("/"),
    mount: {
      dir: directory(dir),
      ...(only.length > 0 && { only }),
      ...(flag(invocation, "read-only") && { readOnly: true }),
      ...(driver !== undefined && { driver }),
    },
  };
  for (const name of ["namespace", "context", "container", "name"] as const) {
    const value = text(invocation, name);
    if (value !== undefined) options[name] = value;
  }
  if (options.name !== undefined && !isSessionName(options.name))
    throw cliError("USAGE", `--name ${JSON.stringify(options.name)} is no name`, { hint: SESSION_NAME_HINT });
  const kubeconfig = kubeconfigOf(invocation);
  if (kubeconfig !== undefined) options.kubeconfig = kubeconfig;
  return options;
}
