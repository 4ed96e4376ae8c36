export { datagramReader, encodeDatagram } from "@shipside/core";
export { type DeployedRelay, type DeployOptions, deployRelay, findRelay, type MakeObject } from "./deploy.ts";
export { relayDialer } from "./dialer.ts";
export { RELAY_ERRORS, type RelayErrorCode, relayError } from "./errors.ts";
export { type IncomingConnection, openRelayLink, type RelayLink, type RelayLinkOptions } from "./link.ts";
export { DEFAULT_IMAGE, DEFAULT_RESOURCES, RELAY_LABEL, type RelaySpec, relayName } from "./manifest.ts";
export { compilePattern, type Pattern } from "./pattern.ts";
export * from "./protocol.ts";
export { type Selector, sameSelector, switchedSelector } from "./selector.ts";
