export { CORE_ERRORS } from "./catalog.ts";
export { type Closable, type Closer, createCloser } from "./closer.ts";
export { datagramReader, encodeDatagram, LONGEST_DATAGRAM } from "./datagrams.ts";
export {
  abortError,
  type CodedErrorOptions,
  codedErrors,
  codeOf,
  type ErrorCatalog,
  type ErrorJson,
  errorFromJson,
  errorToJson,
  hasCode,
  ShipsideError,
} from "./errors.ts";
export { acquireFileLock, type FileLock, type FileLockOptions, isTokenDead, newToken, TOKEN_PATTERN } from "./file-lock.ts";
export { goQuote } from "./go-quote.ts";
export { isHostName, isReservedName } from "./host-name.ts";
export { BACKEND_LABEL } from "./labels.ts";
export { readInLargePieces } from "./large-reads.ts";
export { type Logger, silentLogger } from "./logger.ts";
export { lookOn, type SafeTap, safeTap } from "./look-on.ts";
export { type MountEntry, parseMountInfo } from "./mountinfo.ts";
export { definePlugin, type Plugin } from "./plugin.ts";
export { identify, identifySelf, isPidTaken, isRunning, type ProcessIdentity, pidOf } from "./process-identity.ts";
export { hasEnded, type ProcessStat, parseProcessStat } from "./process-stat.ts";
export { divideQuantity, parseQuantity } from "./quantity.ts";
export { resetStream } from "./reset.ts";
export type { Dialer, DialerComponents, DialerFactory, DialRequest, Endpoint, PodRef, Target } from "./seams/dialer.ts";
export type { EnvEntry, EnvFormat, EnvOrigin, EnvRequest, EnvSource } from "./seams/env.ts";
export type { Hooks, SessionFacts, TunnelFacts } from "./seams/hooks.ts";
export type { HostsConflict, HostsEntry, HostsOwner, HostsPlan } from "./seams/hosts-owner.ts";
export type { ArrivedConnection, Interceptor, Tap, TappedConnection } from "./seams/interceptor.ts";
export type { DatagramListener, Listener, ListenerFactory, ListenRequest } from "./seams/listener-factory.ts";
export type { ServiceFacts, ServiceSelector } from "./seams/service-selector.ts";
export type { MountedVolume, VolumeDriver, VolumeMountRequest } from "./seams/volumes.ts";
export { type SpliceOptions, type SpliceResult, splice } from "./splice.ts";
export { createTurns, type Turns } from "./turns.ts";
