/** What talks to running sessions without loading what makes them: for programs that must start fast. */

export { type CommandInSession, mergeEnv, type RunInSessionOptions, runInSession } from "./child/in-session.ts";
export { type ChildNames, type PrivateNames, privateNames } from "./child/names.ts";
export { type RunCommandOptions, type RunningCommand, runCommand } from "./child/run.ts";
export { removeDeadSockets, strayOwners } from "./clean.ts";
export { type ConnectControlOptions, type ControlClient, connectControl, tryConnectControl } from "./control/client.ts";
export { connectSessionHosts, type FoundHosts } from "./control/hosts.ts";
export { PROTOCOL } from "./control/protocol.ts";
export {
  type ExportedSessions,
  type InspectorPlace,
  type OpenedSession,
  openRemoteSession,
  type SessionMethods,
} from "./control/sessions.ts";
export { DAEMON_ERRORS, daemonError } from "./errors.ts";
export { type Journal, openJournal } from "./journal.ts";
export { type JournalEntry, type Residue, readAbandoned, readJournals } from "./journal-files.ts";
export { neverAtBoot, type StartAtBoot, startAtBoot } from "./launch/boot/start-at-boot.ts";
export { needsRoot } from "./launch/privileges.ts";
export { type HelperRecord, helperLeft, readHelperRecord } from "./launch/record.ts";
export { startDaemon } from "./launch/start-daemon.ts";
export {
  type AsRootOptions,
  type DaemonOwner,
  daemonOwner,
  type StartedWithHelper,
  startWithHelper,
  undoAsRoot,
} from "./launch/start-helper.ts";
export { helperGone, stopDaemon } from "./launch/stop.ts";
export { type LogEntry, type ReadLogOptions, readLog } from "./logs.ts";
export { controlPath, runtimeDir, stateDir } from "./paths.ts";
export type { ProbeStep, TunnelProbe, TunnelsProbe } from "./probe.ts";
export { makeDirectory } from "./residue/directory.ts";
export { isSessionName, matchingSessions, SESSION_NAME_HINT, unknownSession } from "./session-find.ts";
export { isArriving, leadsHere } from "./session-health.ts";
export type {
  IncomingInfo,
  MountInfo,
  NamesInfo,
  ProbeFacts,
  ProbeOptions,
  ProbeResult,
  ServiceInfo,
  SessionEnvOptions,
  SessionEvent,
  SessionExposeOptions,
  SessionInfo,
  SessionInterceptOptions,
  SessionMountOptions,
  SessionOptions,
} from "./session-info.ts";
export { version } from "./version.ts";
export { compareVersions } from "./versions.ts";
