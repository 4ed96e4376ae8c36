export { RELAY_ERRORS, type RelayErrorCode, relayError } from "./errors.ts";
export * from "./protocol.ts";
export { type Selector, sameSelector, switchedSelector } from "./selector.ts";
