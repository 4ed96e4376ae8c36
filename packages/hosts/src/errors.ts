import { codedErrors } from "@shipside/core";

export const HOSTS_ERRORS = {
  HOSTS_INVALID_OPTION: "an option of openHosts is not of the form it takes",
  HOSTS_INVALID_ENTRY: "an address or name may not stand in a hosts file",
  HOSTS_MISSING: "the hosts file does not exist",
  HOSTS_UNREADABLE: "the hosts file can't be read",
  HOSTS_UNWRITABLE: "the hosts file, or the folder it is in, can't be written",
  HOSTS_DISK_FULL: "there is no room for the new hosts file; the old one is unchanged",
  HOSTS_ENCODING: "the hosts file is in UTF-16, which no resolver reads",
  HOSTS_LOCKED: "another process holds the lock of the hosts file",
  HOSTS_CLOSED: "the hosts owner was used after close()",
} as const;

export const hostsError = codedErrors(HOSTS_ERRORS);
