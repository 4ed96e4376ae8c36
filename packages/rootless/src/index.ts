export { ROOTLESS_ERRORS, rootlessError } from "./errors.ts";
