import { isSessionName, SESSION_NAME_HINT, type SessionOptions } from "@shipside/daemon/client";
import { type Invocation, text } from "./command.ts";
import { cliError } from "./errors.ts";
import { kubeconfigOf } from "./session-options.ts";
import { volumeOptions } from "./volume-options.ts";

/** What `shipside mount` asks of a session: `deployment/core DIR`, `deployment core DIR`, `core DIR`. Throws `USAGE`. */
export function mountOptions(invocation: Invocation): SessionOptions {
  const { words } = invocation;
  const dir = words.at(-1)!;
  const workload = words.slice(0, -1);
  if (workload.length === 2 && workload[0]!.includes("/"))
    throw cliError("USAGE", `${words.join(" ")}: one workload and one directory are needed`, {
      hint: "shipside mount deployment/core ./core-root",
    });
  const options: SessionOptions = {
    kind: "mount",
    workload: workload.join("/"),
    mount: volumeOptions(invocation, dir, "only"),
  };
  const image = text(invocation, "image");
  if (image !== undefined) options.relayImage = image;
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
