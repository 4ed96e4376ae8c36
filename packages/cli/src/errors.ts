import { codedErrors } from "@shipside/core";

export const CLI_ERRORS = {
  USAGE: "the command line can't be understood",
  DEMO_FAILED: "the demo did not do what it shows",
} as const;

export const cliError = codedErrors(CLI_ERRORS);
