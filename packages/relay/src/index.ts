export { datagramReader, encodeDatagram } from "@shipside/core";
export { type ClusterRelay, type ClusterRelayEvent, type ClusterRelayOptions, clusterRelay } from "./cluster-relay.ts";
export { type DeployedRelay, type DeployOptions, deployRelay, findRelay, type MakeObject } from "./deploy.ts";
export { relayDialer } from "./dialer.ts";
export { RELAY_ERRORS, type RelayErrorCode, relayError } from "./errors.ts";
export { disownPatch, type FieldOwner, selectorOwners } from "./field-owners.ts";
export { type IncomingConnection, openRelayLink, type RelayLink, type RelayLinkOptions } from "./link.ts";
export {
  BACKEND_LABEL,
  claimPath,
  DEFAULT_IMAGE,
  DEFAULT_RESOURCES,
  OWNER_ANNOTATION,
  PROGRAM_COMMAND,
  RELAY_LABEL,
  type RelayFiles,
  type RelaySpec,
  type RelayUser,
  relayFilesName,
  relayName,
  relayPodSelector,
} from "./manifest.ts";
export { compilePattern, type Pattern } from "./pattern.ts";
export { fileStamp, putWhereNothingIs, type Replacement, replaceIfSame } from "./program/files/replace.ts";
export { type ServeFilesOptions, serveFiles } from "./program/files/serve.ts";
export { programText } from "./program-text.ts";
export * from "./protocol.ts";
export { type Selector, sameSelector, switchedSelector } from "./selector.ts";
