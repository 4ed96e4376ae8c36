import type { SessionExposeOptions } from "../../session-info.ts";
import { text } from "../fields.ts";
import type { ProfileKind } from "../kinds.ts";
import { CAPTURE, ENTRY, INCOMING, WHERE } from "../parts.ts";

export const exposeKind: ProfileKind = {
  list: "exposes",
  describe: "Local ports that the cluster can call by a name.",
  shape: {
    type: "object",
    describe: "Local ports under one name in the cluster.",
    fields: {
      ...ENTRY,
      ...WHERE,
      ...INCOMING,
      ...CAPTURE,
      workload: text("Its container's ports are reused where none are given."),
    },
    required: ["service"],
  },
  title: ({ service }) => `local ports as ${service}`,
  session: ({ name, capture, kubeconfig: _kubeconfig, context: _context, namespace: _namespace, ...expose }, where) => ({
    ...where,
    kind: "expose",
    expose: expose as unknown as SessionExposeOptions,
    ...(capture !== undefined && { capture: capture as boolean }),
    ...(name !== undefined && { name: name as string }),
  }),
};
