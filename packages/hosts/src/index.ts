export { HOSTS_ERRORS, hostsError } from "./errors.ts";
export { type HostsOptions, openHosts } from "./hosts-file.ts";
export { isAddress } from "./names.ts";
export { type HostsFileOptions, type HostsView, keepOriginal, removeOwners, replaceHosts, viewHosts } from "./original.ts";
export { defaultHostsPath } from "./platform.ts";
export type { HostsWriterOptions } from "./writer.ts";
