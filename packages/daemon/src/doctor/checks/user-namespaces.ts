import type { ShipsideError } from "@shipside/core";
import { findObstacle } from "@shipside/rootless";
import { type Check, ok, warning } from "../check.ts";

/** What `shipside run` needs, and a command's own hosts file where the machine's can't be written. Linux only; really tried. */
export const userNamespaces: Check = {
  id: "user-namespaces",
  title: "user namespaces",
  async run(context, signal) {
    if (context.platform !== "linux") return [];
    const obstacle = await findObstacle({ env: context.env, proc: context.file("/proc"), signal });
    if (!obstacle) return [ok("this user may make them: `shipside run` needs no root")];
    const { message, hint } = obstacle as ShipsideError;
    return [warning(`${message}: \`shipside run\` can't do here`, hint ?? "`shipside start` does without")];
  },
};
