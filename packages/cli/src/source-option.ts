import { type Invocation, text } from "./command.ts";
import { cliError } from "./errors.ts";

/** `--from`: whether what the spec says is wanted, or what a running pod really has. Throws `USAGE`. */
export function sourceOf(invocation: Invocation): "spec" | "running" | undefined {
  const from = text(invocation, "from");
  if (from === undefined || from === "spec" || from === "running") return from;
  throw cliError("USAGE", `--from ${JSON.stringify(from)}: there is spec and running`, {
    hint: "running asks the container in a pod, by exec",
  });
}
