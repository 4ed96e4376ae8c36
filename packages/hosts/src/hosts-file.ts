import type { HostsOwner } from "@shipside/core";
import { findConflicts } from "./conflicts.ts";
import { type HostsWriterOptions, openHostsWriter } from "./writer.ts";

export interface HostsOptions extends HostsWriterOptions {
  /** Default true. With false, `conflicts` is always empty and no third-party code is loaded. */
  reportConflicts?: boolean;
}

/**
 * Opens the hosts file for one owner. Reads it once, to fail early (`HOSTS_MISSING`, `HOSTS_UNREADABLE`, `HOSTS_ENCODING`,
 * `HOSTS_INVALID_OPTION`); writes nothing.
 *
 * `apply` and `restore` re-read the file under the lock every time. `close` restores what this handle applied, so that
 * `await using` leaves nothing behind; a handle that applied nothing writes nothing. A `close` that failed may be called again.
 */
export function openHosts(options: HostsOptions): Promise<HostsOwner> {
  const { reportConflicts = true } = options;
  return openHostsWriter(options, reportConflicts ? findConflicts : undefined);
}
