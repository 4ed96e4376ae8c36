import type { CommandSpec } from "./command.ts";

const FORMATS = ["sh", "env", "json", "yaml", "docker", "compose", "fish", "powershell", "direnv", "systemd", "k8s"];

/** The table of commands. A command's code is loaded when it runs. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "teleport",
    summary: "the cluster's services by name, and a workload's env, on this machine",
    usage: ["<workload> [-- command…]", "namespace <name> [-- command…]"],
    words: { min: 1, max: 2 },
    complete: ["workload"],
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
      { name: "foreground", type: "boolean", describe: "in this process, even where a daemon runs" },
    ],
    examples: [
      ["shipside teleport deployment/core -- npm start", "run your version of core with its env and neighbours"],
      ["shipside teleport deploy core -f .env", "write its env to a file, until Ctrl-C"],
      ["shipside teleport namespace shop -a payments", "every service of two namespaces by name"],
    ],
    load: () => import("./commands/teleport.ts"),
  },
  {
    name: "env",
    aliases: ["configuration"],
    summary: "a workload's environment, on stdout or in a file that is kept current",
    usage: ["<workload> [file]", "<workload> [file] -- command…"],
    words: { min: 1, max: 3 },
    takesCommand: true,
    complete: ["workload", "file"],
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
      { name: "foreground", type: "boolean", describe: "in this process, even where a daemon runs" },
    ],
    examples: [
      ["shipside env deployment/core", "show it"],
      ['eval "$(shipside env deploy core -m sh)"', "have it in this shell"],
      ["shipside env deploy core .env", "in a file, current until Ctrl-C"],
      ["shipside env deploy core -- npm test", "in a command"],
    ],
    load: () => import("./commands/env.ts"),
  },
  {
    name: "session",
    summary: "list and close what is open",
    usage: ["list [--details]", "close [id] [--all] [--force]"],
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
    name: "status",
    summary: "whether what is open works now",
    usage: [""],
    words: { min: 0, max: 0 },
    load: () => import("./commands/status.ts"),
  },
  {
    name: "start",
    summary: "run the background daemon: sessions outlive the terminal",
    usage: ["[--foreground]"],
    words: { min: 0, max: 0 },
    options: [{ name: "foreground", type: "boolean", describe: "in this terminal, until Ctrl-C" }],
    load: () => import("./commands/start.ts"),
  },
  {
    name: "stop",
    summary: "close every session and end the daemon",
    usage: [""],
    words: { min: 0, max: 0 },
    load: () => import("./commands/stop.ts"),
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
