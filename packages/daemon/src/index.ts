export { ERROR_CATALOGS } from "./catalogs.ts";
export * from "./client.ts";
export { type Daemon, type DaemonOptions, openDaemon } from "./daemon.ts";
export { createSessionHost, type HeldSession, type HostOptions, type SessionHost } from "./host.ts";
export { type RecoverReport, recover, residueLeft } from "./recover.ts";
export type { Session } from "./session.ts";
export { type ServeSessionsOptions, serveSessions } from "./session-server.ts";
export { suggestContexts, suggestNamespaces, suggestWorkloads } from "./suggest.ts";
export { type TeleportOptions, teleport } from "./teleport.ts";
