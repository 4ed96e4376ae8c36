import { NO_CAPTURE } from "../capture-option.ts";
import type { CommandSpec, OptionSpec } from "../command.ts";
import { FOREGROUND, NAMED } from "./session-options.ts";

/** Of expose and intercept. */
const INCOMING: readonly OptionSpec[] = [
  {
    name: "port",
    alias: "p",
    type: "texts",
    value: "REMOTE[:LOCAL]",
    describe: "the Service's port, and the local one (repeatable)",
  },
  { name: "remote", alias: "r", type: "string", value: "REMOTE", describe: "the same in two: the Service's port" },
  { name: "local", alias: "l", type: "string", value: "LOCAL", describe: "and the local one" },
  { name: "grace", type: "string", value: "SECONDS", describe: "until all is undone where this machine is away; default 60" },
  { name: "image", type: "string", value: "IMAGE", describe: "what the relay runs in: a Node of 22 or later" },
  NO_CAPTURE,
  ...NAMED,
  FOREGROUND,
];

/** Which requests are intercepted. */
const MATCH: readonly OptionSpec[] = [
  {
    name: "header",
    alias: "x",
    type: "texts",
    value: "'K: V'",
    describe: "requests with it, or 'K~REGEX' (repeatable: all of them)",
  },
  { name: "path", type: "string", value: "PATH", describe: "/exact, /prefix*, or ~REGEX" },
  { name: "method", type: "list", value: "METHOD", describe: "requests with one of these" },
  { name: "baggage", type: "texts", value: "K=V", describe: "requests with this entry of W3C baggage (repeatable)" },
  { name: "user", type: "boolean", describe: "requests with a header value of yours alone; it is printed" },
  { name: "all", type: "boolean", describe: "everything" },
];

/** How the intercepted traffic is taken. */
const CLAIM: readonly OptionSpec[] = [
  { name: "hold", type: "string", value: "SECONDS", describe: "how long requests wait for an absent process; default 0" },
  { name: "take-over", type: "boolean", describe: "end what another developer has of the same traffic" },
];

/** Of a teleport, whose command is who answers. */
export const ARRIVALS: readonly OptionSpec[] = [
  {
    name: "intercept",
    type: "texts",
    value: "SVC[:PORTS]",
    describe: "traffic of it comes to the command; PORTS: R[:L] (repeatable)",
  },
  {
    name: "expose",
    type: "texts",
    value: "NAME:PORTS",
    describe: "a Service in the cluster that is the command (repeatable)",
  },
  ...[...MATCH, ...CLAIM].map((option) => ({ ...option, describe: `intercept: ${option.describe}` })),
];

/** The cluster's traffic, on this machine. */
export const INCOMING_COMMANDS: readonly CommandSpec[] = [
  {
    name: "intercept",
    summary: "some of a Service's traffic, on this machine; the rest goes where it went",
    usage: ["service/<name> [--port REMOTE[:LOCAL]]… [match]", "service/<name> --all"],
    words: { min: 1, max: 2 },
    complete: ["service"],
    options: [
      ...INCOMING,
      ...MATCH,
      { name: "tcp", type: "boolean", describe: "with --all: connections as they are, not HTTP" },
      {
        name: "tls-secret",
        type: "string",
        value: "SECRET",
        describe: "look inside TLS, by this Secret's certificate; plain HTTP comes here",
      },
      { name: "mirror", type: "boolean", describe: "copies come here, and the cluster answers" },
      ...CLAIM,
    ],
    examples: [
      ["shipside intercept service/core --port 3020:8080", "requests with x-shipside-intercept: <you> come to 127.0.0.1:8080"],
      ["shipside intercept svc core -r 3020 -l 8080 -x 'x-user: alice'", "those with this header"],
      ["shipside intercept service/core --path '/cart*' --method POST", "those to a path, by a method"],
      ["shipside intercept service/core --clean", "end it"],
    ],
    load: () => import("../commands/intercept.ts"),
  },
  {
    name: "expose",
    summary: "a Service in the cluster whose traffic arrives on this machine",
    usage: ["<name> --port REMOTE[:LOCAL]…", "<name> --workload <workload>"],
    words: { min: 1, max: 1 },
    options: [
      ...INCOMING,
      { name: "workload", type: "string", value: "WORKLOAD", describe: "with the ports of its container", complete: "workload" },
    ],
    examples: [
      ["shipside expose webhook --port 80:8080", "http://webhook in the cluster is 127.0.0.1:8080 here"],
      ["shipside expose mine --port web=80:8080 --port 53:5353/udp", "several ports, named, UDP"],
    ],
    load: () => import("../commands/expose.ts"),
  },
];
