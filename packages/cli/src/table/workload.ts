import { INSPECT, NO_CAPTURE } from "../capture-option.ts";
import type { CommandSpec, OptionSpec } from "../command.ts";
import { ARRIVALS } from "./incoming.ts";
import { FOREGROUND, NAMED } from "./session-options.ts";

const FORMATS = ["sh", "env", "json", "yaml", "docker", "compose", "fish", "powershell", "direnv", "systemd", "k8s"];

const FROM: OptionSpec = {
  name: "from",
  type: "string",
  value: "SOURCE",
  describe: "spec, or running: what the container in a pod has",
  complete: ["spec", "running"],
};

/** Which of a workload's variables, and in what source. */
const SELECTION: readonly OptionSpec[] = [
  FROM,
  { name: "only", type: "list", value: "GLOB", describe: "these variables alone, such as DB_* (repeatable)" },
  { name: "except", type: "list", value: "GLOB", describe: "all but these (repeatable)" },
  { name: "no-secrets", type: "boolean", describe: "nothing that comes from a Secret" },
  { name: "set", type: "texts", value: "NAME=VALUE", describe: "this value in any case (repeatable)" },
];

const ROOTLESS: readonly OptionSpec[] = [
  {
    name: "rootless",
    type: "boolean",
    describe: "in namespaces of the command's own: nothing here changes (Linux)",
  },
  { name: "no-rootless", type: "boolean", describe: "not so, also where there is neither root nor helper" },
];

const RESTART: readonly OptionSpec[] = [
  { name: "restart-on-change", type: "boolean", describe: "start the command anew when its env changes" },
  { name: "grace", type: "string", value: "SECONDS", describe: "from its SIGTERM to SIGKILL; default 5" },
];

/** How volumes are mounted. */
const VOLUMES: readonly OptionSpec[] = [
  { name: "read-only", type: "boolean", describe: "volumes are read-only: nothing is written back" },
  {
    name: "driver",
    type: "string",
    value: "DRIVER",
    describe: "for claims: auto (the default), fuse, sshfs, sync or snapshot",
    complete: ["auto", "sshfs", "fuse", "sync", "snapshot"],
  },
  {
    name: "ignore",
    type: "list",
    value: "PATTERN",
    describe: "with --driver sync: let these alone, such as *.tmp (repeatable)",
  },
];

/** Of a teleport, and of `run`, which is one. */
export const TELEPORT_OPTIONS: readonly OptionSpec[] = [
  {
    name: "also",
    alias: "a",
    type: "list",
    value: "NAMESPACE",
    describe: "services of this namespace too (repeatable)",
    complete: "namespace",
  },
  {
    name: "file",
    alias: "f",
    type: "string",
    value: "FILE",
    describe: "write the workload's env there, and keep it current",
    complete: "file",
  },
  {
    name: "format",
    alias: "m",
    type: "string",
    value: "FORMAT",
    describe: "the file's form; default: by its name",
    complete: FORMATS,
  },
  { name: "container", type: "string", value: "NAME", describe: "whose env, where the pod has several containers" },
  {
    name: "mount",
    type: "string",
    value: "DIR",
    describe: "the workload's volumes there; SHIPSIDE_ROOT names it",
    complete: "file",
  },
  { name: "volumes", type: "boolean", describe: "rootless: the workload's volumes at their own paths" },
  {
    name: "host-port",
    type: "list",
    value: "PORT",
    describe: "rootless: this port of your localhost is there too (repeatable)",
  },
  { name: "hostname", type: "boolean", describe: "rootless: the host name that the workload's pods have" },
  { name: "mount-only", type: "list", value: "NAME", describe: "of volumes: this one, or what is at this path (repeatable)" },
  ...VOLUMES,
  {
    name: "services",
    type: "texts",
    value: "RULE",
    describe: "these services alone: name, *.ns, name-*, app=web (repeatable)",
  },
  { name: "exclude", type: "texts", value: "RULE", describe: "all services but these (repeatable)" },
  {
    name: "via",
    type: "string",
    value: "WAY",
    describe: "relay: all through a relay in the cluster; port-forward: never one",
    complete: ["relay", "port-forward"],
  },
  {
    name: "host",
    type: "texts",
    value: "HOST:PORT",
    describe: "a host that only the cluster reaches, by its name (repeatable)",
  },
  { name: "image", type: "string", value: "IMAGE", describe: "what a relay runs in: a Node of 22 or later" },
  ...SELECTION,
  ...ARRIVALS,
  ...ROOTLESS,
  ...RESTART,
  INSPECT,
  NO_CAPTURE,
  ...NAMED,
  FOREGROUND,
];

/** What a workload has, on this machine. */
export const WORKLOAD_COMMANDS: readonly CommandSpec[] = [
  {
    name: "teleport",
    summary: "the cluster's services by name, and a workload's env, on this machine",
    usage: ["<workload> [-- command…]", "namespace <name> [-- command…]"],
    words: { min: 1, max: 2 },
    complete: ["workload"],
    verbs: [{ name: "namespace", before: "namespace" }],
    takesCommand: true,
    options: TELEPORT_OPTIONS,
    examples: [
      ["shipside teleport deployment/core -- npm start", "run your version of core with its env and neighbours"],
      ["shipside teleport deploy core -f .env", "write its env to a file, until Ctrl-C"],
      ["shipside teleport namespace shop -a payments", "every service of two namespaces by name"],
      ["shipside teleport core --exclude 'metrics-*'", "all services but those"],
      ["shipside teleport core --mount ./root -- npm start", "and with its volumes under $SHIPSIDE_ROOT"],
      ["shipside teleport core --host db.internal:5432", "and a database that only the cluster reaches"],
      ["shipside teleport core --intercept core:3020:8080 -- npm start", "and answers some of core's requests on its port 8080"],
      ["shipside teleport core --rootless -- npm start", "in namespaces of its own, as `shipside run` does"],
    ],
    load: () => import("../commands/teleport.ts"),
  },
  {
    name: "env",
    aliases: ["configuration"],
    summary: "a workload's environment: shown, explained, compared, in a file kept current",
    usage: [
      "<workload> [file]",
      "<workload> [file] -- command…",
      "<workload> --explain",
      "diff <workload> --with FILE | --shell | --workload OTHER",
    ],
    words: { min: 1, max: 3 },
    takesCommand: true,
    complete: ["workload", "file"],
    verbs: [{ name: "diff", before: "workload" }],
    options: [
      {
        name: "file",
        alias: "f",
        type: "string",
        value: "FILE",
        describe: "write it there, and keep it current",
        complete: "file",
      },
      {
        name: "format",
        alias: "m",
        type: "string",
        value: "FORMAT",
        describe: "default: by the file's name, else env",
        complete: FORMATS,
      },
      { name: "container", type: "string", value: "NAME", describe: "where the pod has several containers" },
      ...SELECTION,
      { name: "skip-forbidden", type: "boolean", describe: "go on without what may not be read" },
      { name: "explain", type: "boolean", describe: "where each comes from; secrets are masked" },
      { name: "reveal", type: "boolean", describe: "with --explain, diff, --watch, --json: secrets too" },
      { name: "watch", type: "boolean", describe: "tell what changes; a file is followed in any case" },
      ...RESTART,
      ...NAMED,
      { name: "with", type: "string", value: "FILE", describe: "diff: with this file", complete: "file" },
      { name: "shell", type: "boolean", describe: "diff: with the variables of this shell" },
      { name: "workload", type: "string", value: "OTHER", describe: "diff: with another workload", complete: "workload" },
      {
        name: "other-namespace",
        type: "string",
        value: "NAME",
        describe: "diff: with that of another namespace",
        complete: "namespace",
      },
      {
        name: "other-context",
        type: "string",
        value: "NAME",
        describe: "diff: with that of another context",
        complete: "context",
      },
      FOREGROUND,
    ],
    examples: [
      ["shipside env deployment/core", "show it"],
      ['eval "$(shipside env deploy core -m sh)"', "have it in this shell"],
      ["shipside env deploy core .env", "in a file, current until Ctrl-C"],
      ["shipside env deploy core -- npm test", "in a command"],
      ["shipside env deploy core --restart-on-change -- npm start", "in a command that is started anew when it changes"],
      ["shipside env deploy core --explain --from running", "where each comes from, and what the running container has instead"],
      ["shipside env diff deploy core --with .env", "what differs from a file: exit code 0 same, 1 differs"],
    ],
    load: () => import("../commands/env.ts"),
  },
  {
    name: "mount",
    summary: "a workload's volumes in a directory here",
    usage: ["<workload> <directory>"],
    words: { min: 2, max: 3 },
    complete: ["workload", "file"],
    options: [
      {
        name: "container",
        type: "string",
        value: "NAME",
        describe: "whose volumes, where the pod has several containers",
      },
      {
        name: "only",
        type: "list",
        value: "NAME",
        describe: "only this volume, by its name or the path it is mounted at (repeatable)",
      },
      { ...FROM, describe: "emptyDirs: spec (default), empty at first; running, copied from the pod" },
      ...VOLUMES,
      { name: "image", type: "string", value: "IMAGE", describe: "the image for the relay's pod: one with Node 22 or later" },
      ...NAMED,
      FOREGROUND,
    ],
    examples: [
      ["shipside mount deployment/core ./core-root", "what is mounted at /etc/core is ./core-root/etc/core"],
      ["shipside mount core ./core-root --only settings --only /data", "two volumes alone: one by its name, one by its path"],
      [
        "shipside mount core ./core-root --driver sync --ignore '*.tmp'",
        "a copy, kept the same as the volume both ways, without FUSE",
      ],
      ["shipside mount core ./core-root --clean", "unmount it"],
    ],
    load: () => import("../commands/mount.ts"),
  },
];
