import type { SessionOptions } from "@shipside/daemon/client";
import type { OptionSpec } from "./command.ts";
import { flag, type Invocation } from "./command.ts";
import { cliError } from "./errors.ts";

export const NO_CAPTURE: OptionSpec = {
  name: "no-capture",
  type: "boolean",
  describe: "the inspector keeps nothing of its traffic",
};

export const INSPECT: OptionSpec = {
  name: "inspect",
  type: "boolean",
  describe: "plain HTTP that goes out is shown by `shipside inspect` too",
};

/** `--inspect` and `--no-capture`. Throws `USAGE`. */
export function captureOption(invocation: Invocation): Pick<SessionOptions, "capture"> {
  const [inspect, not] = [flag(invocation, "inspect"), flag(invocation, "no-capture")];
  if (inspect && not)
    throw cliError("USAGE", "--inspect and --no-capture contradict each other", { hint: "leave one of the two out" });
  return inspect || not ? { capture: inspect } : {};
}
