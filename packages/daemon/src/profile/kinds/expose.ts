import { text } from "../fields.ts";
import type { ProfileKind } from "../kinds.ts";
import { ENTRY, WHERE } from "../parts.ts";

export const exposeKind: ProfileKind = {
  list: "exposes",
  describe: "Local ports that the cluster can call by a name.",
  shape: {
    type: "object",
    describe: "One local port under a name in the cluster.",
    fields: {
      ...ENTRY,
      ...WHERE,
      service: text("The name in the cluster."),
      remote: { type: "number", describe: "The port that the cluster calls. Default: the local one.", least: 1, most: 65535 },
      local: { type: "number", describe: "The port on this machine.", least: 1, most: 65535 },
    },
    required: ["service", "local"],
  },
  title: ({ service, local }) => `local port ${local} as ${service}`,
};
