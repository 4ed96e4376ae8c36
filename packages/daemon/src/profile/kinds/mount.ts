import { flag, text } from "../fields.ts";
import type { ProfileKind } from "../kinds.ts";
import { ENTRY, WHERE } from "../parts.ts";

export const mountKind: ProfileKind = {
  list: "mounts",
  describe: "Workloads' volumes as local folders.",
  shape: {
    type: "object",
    describe: "One workload's volumes under one folder.",
    fields: {
      ...ENTRY,
      ...WHERE,
      workload: text("As kubectl takes it: statefulset/database."),
      container: text("Whose mounts, where the pod has several containers."),
      path: text("The folder under which the volumes appear, each at its own mount path.", { path: true }),
      volume: text("This volume alone."),
      readOnly: flag("Nothing can be written."),
    },
    required: ["workload", "path"],
  },
  title: ({ workload, path }) => `${workload} at ${path}`,
};
