import type { SessionInterceptOptions } from "../../session-info.ts";
import { flag, list, text } from "../fields.ts";
import type { ProfileKind } from "../kinds.ts";
import { CAPTURE, ENTRY, INCOMING, WHERE } from "../parts.ts";

export const interceptKind: ProfileKind = {
  list: "intercepts",
  describe: "Traffic of cluster services that comes to local ports.",
  shape: {
    type: "object",
    describe: "One service whose flagged traffic comes here.",
    fields: {
      ...ENTRY,
      ...WHERE,
      ...INCOMING,
      ...CAPTURE,
      match: {
        type: "object",
        describe: "Which requests; all that is said must hold. Default: the header x-shipside-intercept with the user's name.",
        fields: {
          headers: list("`name: value`, or `name~regex`.", text("A header.")),
          path: text("/exact, /prefix*, or ~regex."),
          methods: list("Only requests of these methods.", text("Such as GET.")),
          baggage: list("`key=value` of the W3C baggage header.", text("An entry.")),
          user: flag("The header with a value that is this developer's alone."),
          all: flag("Everything, whatever it carries."),
        },
      },
      tcp: flag("The ports carry no HTTP; goes with match.all."),
      tlsSecret: text("A Secret of type kubernetes.io/tls by which the relay ends TLS, to look inside."),
      mirror: flag("This machine gets copies, and the cluster answers."),
      takeOver: flag("End what others have of the same traffic."),
      holdMs: {
        type: "number",
        describe: "How long a request waits for a local process that is away, in ms.",
        least: 0,
        most: 86_400_000,
      },
    },
    required: ["service"],
  },
  title: ({ service }) => `traffic of ${service}`,
  session: ({ name, capture, kubeconfig: _kubeconfig, context: _context, namespace: _namespace, ...intercept }, where) => ({
    ...where,
    kind: "intercept",
    intercept: intercept as unknown as SessionInterceptOptions,
    ...(capture !== undefined && { capture: capture as boolean }),
    ...(name !== undefined && { name: name as string }),
  }),
};
