import type { CommandSpec } from "../command.ts";

/** The processes that serve this machine, and what they did to it. */
export const MACHINE_COMMANDS: readonly CommandSpec[] = [
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
    load: () => import("../commands/start.ts"),
  },
  {
    name: "stop",
    summary: "close every session, end daemon and helper, undo everything",
    usage: [""],
    words: { min: 0, max: 0 },
    load: () => import("../commands/stop.ts"),
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
      ["shipside clean -n shop", "relays and intercepts of yours there too, where the record of them is lost"],
    ],
    load: () => import("../commands/clean.ts"),
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
    load: () => import("../commands/hosts.ts"),
  },
];
