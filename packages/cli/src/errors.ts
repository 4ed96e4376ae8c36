import { codedErrors } from "@shipside/core";

export const CLI_ERRORS = {
  USAGE: "the command line can't be understood",
  NOTHING_TO_INSPECT: "no session is open whose traffic an inspector could show",
  DEMO_FAILED: "the demo did not do what it shows",
} as const;

export const cliError = codedErrors(CLI_ERRORS);
