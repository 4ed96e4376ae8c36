export { RELAY_ERRORS, type RelayErrorCode, relayError } from "./errors.ts";
export { compilePattern, type Pattern } from "./pattern.ts";
export * from "./protocol.ts";
export { type Selector, sameSelector, switchedSelector } from "./selector.ts";
