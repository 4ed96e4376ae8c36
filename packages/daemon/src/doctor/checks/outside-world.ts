import type { ShipsideError } from "@shipside/core";
import { findProgram } from "@shipside/rootless";
import { type Check, ok, warning } from "../check.ts";

/** What carries the traffic of `shipside run` to the rest of the world; without it, HTTP alone gets there. Linux only. */
export const outsideWorld: Check = {
  id: "outside-world",
  title: "outside world",
  async run(context) {
    if (context.platform !== "linux") return [];
    const where = { path: context.env["PATH"] ?? "", tun: context.file("/dev/net/tun") };
    const reasons: ShipsideError[] = [];
    for (const name of ["pasta", "slirp4netns"] as const) {
      try {
        await findProgram(name, where);
        return [ok(`${name} is there: the command of \`shipside run\` reaches the internet as this machine does`)];
      } catch (error) {
        reasons.push(error as ShipsideError);
      }
    }
    // One that is installed is nearer to working than one that isn't.
    const { hint } = reasons.find(({ code }) => code !== "ROOTLESS_OUTSIDE_MISSING") ?? reasons[0]!;
    const why = [...new Set(reasons.map(({ message }) => message))].join("; ");
    return [warning(`the command of \`shipside run\` reaches the internet through an HTTP proxy alone: ${why}`, hint!)];
  },
};
