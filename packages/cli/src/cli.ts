import type { CommandSpec, OptionSpec } from "./command.ts";

const FORMATS = ["sh", "env", "json", "yaml", "docker", "compose", "fish", "powershell", "direnv", "systemd", "k8s"];

/** Which of a workload's variables, and in what source. */
const SELECTION: readonly OptionSpec[] = [
  {
    name: "from",
    type: "string",
    value: "SOURCE",
    describe: "spec, or running: what the container in a pod has",
    complete: ["spec", "running"],
  },
  { name: "only", type: "list", value: "GLOB", describe: "these variables alone, such as DB_* (repeatable)" },
  { name: "except", type: "list", value: "GLOB", describe: "all but these (repeatable)" },
  { name: "no-secrets", type: "boolean", describe: "nothing that comes from a Secret" },
  { name: "set", type: "texts", value: "NAME=VALUE", describe: "this value in any case (repeatable)" },
];

const RESTART: readonly OptionSpec[] = [
  { name: "restart-on-change", type: "boolean", describe: "start the command anew when its env changes" },
  { name: "grace", type: "string", value: "SECONDS", describe: "from its SIGTERM to SIGKILL; default 5" },
];

/** What the session can be called by, and how it is asked for again. */
const NAMED: readonly OptionSpec[] = [
  { name: "name", type: "string", value: "NAME", describe: "call the session so: `session close NAME`" },
  { name: "save-profile", alias: "s", type: "string", value: "NAME", describe: "save these options for `up --profile NAME`" },
];

/** Which file of sessions. */
const PROFILE: readonly OptionSpec[] = [
  { name: "file", alias: "f", type: "string", value: "FILE", describe: "default: shipside.yaml here", complete: "file" },
  { name: "profile", type: "string", value: "NAME", describe: "one that --save-profile saved", complete: "profile" },
];

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
  ...NAMED,
  { name: "foreground", type: "boolean", describe: "in this process, even where a daemon runs" },
];

/** The table of commands. A command's code is loaded when it runs. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "teleport",
    summary: "the cluster's services by name, and a workload's env, on this machine",
    usage: ["<workload> [-- command…]", "namespace <name> [-- command…]"],
    words: { min: 1, max: 2 },
    complete: ["workload"],
    verbs: [{ name: "namespace", before: "namespace" }],
    takesCommand: true,
    options: [
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
      ...RESTART,
      ...NAMED,
      { name: "foreground", type: "boolean", describe: "in this process, even where a daemon runs" },
    ],
    examples: [
      ["shipside teleport deployment/core -- npm start", "run your version of core with its env and neighbours"],
      ["shipside teleport deploy core -f .env", "write its env to a file, until Ctrl-C"],
      ["shipside teleport namespace shop -a payments", "every service of two namespaces by name"],
      ["shipside teleport core --exclude 'metrics-*'", "all services but those"],
      ["shipside teleport core --mount ./root -- npm start", "and with its volumes under $SHIPSIDE_ROOT"],
      ["shipside teleport core --host db.internal:5432", "and a database that only the cluster reaches"],
    ],
    load: () => import("./commands/teleport.ts"),
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
      { name: "foreground", type: "boolean", describe: "in this process, even where a daemon runs" },
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
    load: () => import("./commands/env.ts"),
  },
  {
    name: "mount",
    summary: "a workload's volumes in a directory here",
    usage: ["<workload> <directory>"],
    words: { min: 2, max: 3 },
    complete: ["workload", "file"],
    options: [
      { name: "container", type: "string", value: "NAME", describe: "whose volumes, where the pod has several containers" },
      { name: "only", type: "list", value: "NAME", describe: "this volume, or what is mounted at this path, alone (repeatable)" },
      { name: "read-only", type: "boolean", describe: "nothing is written back" },
      {
        name: "driver",
        type: "string",
        value: "DRIVER",
        describe: "for what only a pod has; default auto, which says what it took",
        complete: ["auto", "snapshot"],
      },
      ...NAMED,
      { name: "foreground", type: "boolean", describe: "in this process, even where a daemon runs" },
    ],
    examples: [
      ["shipside mount deployment/core ./core-root", "what is mounted at /etc/core is ./core-root/etc/core"],
      ["shipside mount core ./core-root --only config --only /data", "a volume, and what is mounted at a path"],
      ["shipside mount core ./core-root --clean", "unmount it"],
    ],
    load: () => import("./commands/mount.ts"),
  },
  {
    name: "intercept",
    summary: "some of a Service's traffic, on this machine; the rest goes where it went",
    usage: ["service/<name> [--port REMOTE[:LOCAL]]… [match]", "service/<name> --all"],
    words: { min: 1, max: 2 },
    complete: ["service"],
    options: [
      ...INCOMING,
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
      { name: "user", type: "boolean", describe: "requests with a header value that is yours alone; it is printed" },
      { name: "all", type: "boolean", describe: "everything" },
      { name: "tcp", type: "boolean", describe: "with --all: connections as they are, not HTTP" },
      { name: "mirror", type: "boolean", describe: "copies come here, and the cluster answers" },
      { name: "hold", type: "string", value: "SECONDS", describe: "how long requests wait for a process that is away; default 0" },
      { name: "take-over", type: "boolean", describe: "end what another developer has of the same traffic" },
    ],
    examples: [
      ["shipside intercept service/core --port 3020:8080", "requests with x-shipside-intercept: <you> come to 127.0.0.1:8080"],
      ["shipside intercept svc core -r 3020 -l 8080 -x 'x-user: alice'", "those with this header"],
      ["shipside intercept service/core --path '/cart*' --method POST", "those to a path, by a method"],
      ["shipside intercept service/core --clean", "end it"],
    ],
    load: () => import("./commands/intercept.ts"),
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
    load: () => import("./commands/expose.ts"),
  },
  {
    name: "session",
    summary: "list and close what is open",
    usage: ["list [--details]", "close [id or name] [--all] [--force]"],
    words: { min: 0, max: 2 },
    complete: [["list", "close", "clean"], "session"],
    options: [
      { name: "details", alias: "d", type: "boolean", describe: "with each service, its address and its ports" },
      { name: "all", type: "boolean", describe: "close every session" },
      { name: "force", type: "boolean", describe: "also undo what a running shipside left that doesn't answer" },
    ],
    examples: [
      ["shipside session list --details", "what is open, with addresses"],
      ["shipside session close --all", "close all, and undo what crashed ones left"],
    ],
    load: () => import("./commands/session.ts"),
  },
  {
    name: "up",
    summary: "open all that a file says: teleports, env files, several at once",
    usage: ["[-f FILE] [--dry-run] [--trust]", "--profile NAME"],
    words: { min: 0, max: 0 },
    options: [
      ...PROFILE,
      { name: "dry-run", type: "boolean", describe: "show what would be made, and make nothing" },
      { name: "trust", type: "boolean", describe: "the file may name kubeconfigs and files that are elsewhere" },
      { name: "foreground", type: "boolean", describe: "in this process, even where a daemon runs" },
    ],
    examples: [
      ["shipside up", "what shipside.yaml says; again: only what has changed in it"],
      ["shipside up --dry-run", "what that would be: contexts, services, names, files"],
      ["shipside up --profile core", "what `teleport … --save-profile core` was"],
    ],
    load: () => import("./commands/up.ts"),
  },
  {
    name: "down",
    summary: "close what `up` opened, and nothing else",
    usage: ["[-f FILE]", "--profile NAME"],
    words: { min: 0, max: 0 },
    options: PROFILE,
    load: () => import("./commands/down.ts"),
  },
  {
    name: "status",
    summary: "whether what is open works now: name, listener, pod, tried end to end",
    usage: ["[--details] [--all]"],
    words: { min: 0, max: 0 },
    options: [
      { name: "details", alias: "d", type: "boolean", describe: "each port that was tried, with times" },
      { name: "all", type: "boolean", describe: "try every port, not a sample of 24 a session" },
    ],
    load: () => import("./commands/status.ts"),
  },
  {
    name: "logs",
    summary: "what the daemon says: its log, and its standard error",
    usage: ["[-f] [--since TIME]"],
    words: { min: 0, max: 0 },
    options: [
      { name: "follow", alias: "f", type: "boolean", describe: "go on with what comes, until Ctrl-C" },
      { name: "since", type: "string", value: "TIME", describe: "10m, 2h, 1d ago, or a time such as 2026-01-31T12:00" },
    ],
    examples: [["shipside logs -f --since 10m", "the last ten minutes, and on"]],
    load: () => import("./commands/logs.ts"),
  },
  {
    name: "start",
    summary: "run the background daemon: sessions outlive the terminal; asks for root once",
    usage: ["[--no-root] [--foreground]", "--install | --uninstall"],
    words: { min: 0, max: 0 },
    options: [
      { name: "no-root", type: "boolean", describe: "do all that needs no root, and say what is missing" },
      { name: "foreground", type: "boolean", describe: "in this terminal, until Ctrl-C; without root" },
      { name: "install", type: "boolean", describe: "at every boot (systemd or launchd), and now" },
      { name: "uninstall", type: "boolean", describe: "not at boot any more; ends it if it was started there" },
    ],
    load: () => import("./commands/start.ts"),
  },
  {
    name: "stop",
    summary: "close every session, end daemon and helper, undo everything",
    usage: [""],
    words: { min: 0, max: 0 },
    load: () => import("./commands/stop.ts"),
  },
  {
    name: "clean",
    summary: "remove what dead sessions left, on this machine and in clusters",
    usage: ["[--yes]"],
    words: { min: 0, max: 0 },
    options: [
      { name: "yes", alias: "y", type: "boolean", describe: "in clusters too, without asking" },
      { name: "forget", type: "boolean", describe: "take what can't be removed off the record" },
    ],
    examples: [
      ["shipside clean", "after a crash; touches nothing that works, and a second time does nothing"],
      ["shipside clean -k FILE --context NAME", "reach a cluster whose kubeconfig has moved"],
    ],
    load: () => import("./commands/clean.ts"),
  },
  {
    name: "hosts",
    summary: "what of the hosts file is Shipside's, and taking it out",
    usage: ["diff", "restore [--from-backup [--backup FILE]]"],
    words: { min: 0, max: 1 },
    complete: [["diff", "restore"]],
    options: [
      { name: "from-backup", type: "boolean", describe: "put the copy back that was kept before the first change" },
      {
        name: "backup",
        type: "string",
        value: "FILE",
        describe: "that copy; default $SHIPSIDE_HOSTS_ORIGINAL, else ~/hosts.original",
        complete: "file",
      },
      { name: "yes", alias: "y", type: "boolean", describe: "without asking" },
    ],
    examples: [
      ["shipside hosts diff", "the lines that are Shipside's"],
      ["sudo shipside hosts restore", "take them out, and nothing else"],
    ],
    load: () => import("./commands/hosts.ts"),
  },
  {
    name: "doctor",
    summary: "what is well and what isn't: cluster, credentials, rights, this machine",
    usage: ["", "--bundle [file]"],
    words: { min: 0, max: 1 },
    complete: ["file"],
    options: [{ name: "bundle", type: "boolean", describe: "write an archive to hand on, with secrets masked" }],
    examples: [
      ["shipside doctor", "look at everything; exit code 0 well, 11 warnings, 12 problems"],
      ["shipside doctor --bundle", "an archive for whoever helps you"],
    ],
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "demo",
    summary: "see it work, with an embedded cluster: nothing else is needed",
    usage: ["[--keep]"],
    words: { min: 0, max: 0 },
    options: [{ name: "keep", type: "boolean", describe: "leave it running to play with, until Ctrl-C" }],
    load: () => import("./commands/demo.ts"),
  },
  {
    name: "completion",
    summary: "a completion script for your shell",
    usage: ["bash | zsh | fish"],
    words: { min: 1, max: 1 },
    complete: [["bash", "zsh", "fish"]],
    examples: [
      ['eval "$(shipside completion bash)"', "in ~/.bashrc"],
      ['eval "$(shipside completion zsh)"', "in ~/.zshrc, after compinit"],
      ["shipside completion fish | source", "in ~/.config/fish/config.fish"],
    ],
    load: () => import("./commands/completion.ts"),
  },
];

export function findCommand(name: string): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name || command.aliases?.includes(name));
}
