/** What a process with privileges needs: nothing in here, or imported from here, is third-party code. */
export { HOSTS_ERRORS, hostsError } from "./errors.ts";
export { isAddress } from "./names.ts";
export { type HostsWriterOptions, openHostsWriter } from "./writer.ts";
