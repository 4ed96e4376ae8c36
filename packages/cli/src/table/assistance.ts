import type { CommandSpec } from "../command.ts";

/** For whoever is new, or at a loss. */
export const ASSISTANCE_COMMANDS: readonly CommandSpec[] = [
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
    load: () => import("../commands/doctor.ts"),
  },
  {
    name: "demo",
    summary: "see it work, with an embedded cluster: nothing else is needed",
    usage: ["[--keep]"],
    words: { min: 0, max: 0 },
    options: [{ name: "keep", type: "boolean", describe: "leave it running to play with, until Ctrl-C" }],
    load: () => import("../commands/demo.ts"),
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
    load: () => import("../commands/completion.ts"),
  },
];
