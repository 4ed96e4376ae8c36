import { flag, list, text } from "../fields.ts";
import type { ProfileKind } from "../kinds.ts";
import { ENTRY, WHERE } from "../parts.ts";

export const interceptKind: ProfileKind = {
  list: "intercepts",
  describe: "Traffic of cluster services that comes to local ports.",
  shape: {
    type: "object",
    describe: "One service whose flagged traffic comes here.",
    fields: {
      ...ENTRY,
      ...WHERE,
      service: text("The service's name."),
      remote: text("The service's port, by number or name. Default: its only one.", { orNumber: true }),
      local: { type: "number", describe: "The port on this machine.", least: 1, most: 65535 },
      headers: {
        type: "map",
        describe: "Only requests that have all of these headers.",
        of: text("A value.", { mayBeEmpty: true }),
      },
      path: text("Only requests for this path; `/api/*` is a beginning."),
      methods: list("Only requests of these methods.", text("Such as GET.")),
      all: flag("Everything, whatever it carries."),
    },
    required: ["service", "local"],
  },
  title: ({ service, local }) => `${service} to local port ${local}`,
};
