export type { DeployedRelay, DeployRelay } from "./deploy.ts";
export { relayDialer } from "./dialer.ts";
export { RELAY_ERRORS, type RelayErrorCode, relayError } from "./errors.ts";
export { type IncomingConnection, openRelayLink, type RelayLink, type RelayLinkOptions } from "./link.ts";
export { DEFAULT_IMAGE, type RelaySpec } from "./manifest.ts";
export * from "./protocol.ts";
export { type Selector, sameSelector, switchedSelector } from "./selector.ts";
