import type { OptionSpec } from "./command.ts";

/** On every command. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  { name: "namespace", alias: "n", type: "string", value: "NAME", describe: "the home namespace", complete: "namespace" },
  {
    name: "kubeconfig",
    alias: "k",
    type: "string",
    value: "FILE",
    describe: "instead of $KUBECONFIG and ~/.kube/config",
    complete: "file",
  },
  { name: "context", type: "string", value: "NAME", describe: "the kubeconfig's context", complete: "context" },
  { name: "clean", alias: "c", type: "boolean", describe: "undo what this command did, and do nothing else" },
  { name: "print-rbac", type: "boolean", describe: "print the Role this needs, and do nothing else" },
  { name: "json", type: "boolean", describe: "print one JSON document on stdout" },
  { name: "quiet", alias: "q", type: "boolean", describe: "say only warnings and errors" },
  { name: "help", alias: "h", type: "boolean", describe: "show help" },
];
