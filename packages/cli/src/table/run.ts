import type { CommandSpec } from "../command.ts";
import { TELEPORT_OPTIONS } from "./workload.ts";

/** `teleport --rootless`, for who has a command. */
export const RUN_COMMAND: CommandSpec = {
  name: "run",
  summary: "a command as though it were in the cluster; no root, and nothing here changes (Linux)",
  usage: ["<workload> -- command…", "namespace <name> -- command…"],
  words: { min: 1, max: 2 },
  complete: ["workload"],
  verbs: [{ name: "namespace", before: "namespace" }],
  takesCommand: true,
  options: TELEPORT_OPTIONS.filter(({ name }) => !["rootless", "no-rootless", "foreground"].includes(name)),
  examples: [
    ["shipside run deployment/core -- npm start", "names, ClusterIPs, low ports and env as in its pod"],
    ["shipside run namespace shop -- bash", "a shell among the services of a namespace"],
  ],
  load: () => import("../commands/run.ts"),
};
