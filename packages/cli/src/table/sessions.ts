import type { CommandSpec, OptionSpec } from "../command.ts";
import { FOREGROUND } from "./session-options.ts";

/** Which file of sessions. */
const PROFILE: readonly OptionSpec[] = [
  { name: "file", alias: "f", type: "string", value: "FILE", describe: "default: shipside.yaml here", complete: "file" },
  { name: "profile", type: "string", value: "NAME", describe: "one that --save-profile saved", complete: "profile" },
];

/** Several sessions at once, and those that are open. */
export const SESSION_COMMANDS: readonly CommandSpec[] = [
  {
    name: "session",
    summary: "list and close what is open",
    usage: ["list [--details]", "close [id or name] [--all] [--force]"],
    words: { min: 0, max: 2 },
    complete: [["list", "close", "clean"], "session"],
    options: [
      { name: "details", alias: "d", type: "boolean", describe: "with each service, its address and its ports" },
      { name: "all", type: "boolean", describe: "close every session" },
      { name: "force", type: "boolean", describe: "also volumes that are in use, and what a shipside left that doesn't answer" },
    ],
    examples: [
      ["shipside session list --details", "what is open, with addresses"],
      ["shipside session close --all", "close all, and undo what crashed ones left"],
    ],
    load: () => import("../commands/session.ts"),
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
      FOREGROUND,
    ],
    examples: [
      ["shipside up", "what shipside.yaml says; again: only what has changed in it"],
      ["shipside up --dry-run", "what that would be: contexts, services, names, files"],
      ["shipside up --profile core", "what `teleport … --save-profile core` was"],
    ],
    load: () => import("../commands/up.ts"),
  },
  {
    name: "down",
    summary: "close what `up` opened, and nothing else",
    usage: ["[-f FILE]", "--profile NAME"],
    words: { min: 0, max: 0 },
    options: PROFILE,
    load: () => import("../commands/down.ts"),
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
    load: () => import("../commands/status.ts"),
  },
  {
    name: "inspect",
    summary: "the traffic: opens its page in the browser, or prints it as it comes",
    usage: ["", "--tail [filter…]"],
    words: { min: 0, max: 50 },
    options: [{ name: "tail", type: "boolean", describe: "print each request when it is over, until Ctrl-C" }],
    examples: [
      ["shipside inspect", "the page: requests, tunnels, sending again"],
      ["shipside inspect --tail status:5xx path:/api", "those that failed, of one path"],
    ],
    load: () => import("../commands/inspect.ts"),
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
    load: () => import("../commands/logs.ts"),
  },
];
