export { CLI_ERRORS } from "./errors.ts";
export { EXIT, EXIT_CODE_OF, exitCodeOf } from "./exit-codes.ts";
export { main } from "./main.ts";
