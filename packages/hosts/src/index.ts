export { HOSTS_ERRORS, hostsError } from "./errors.ts";
export { type HostsOptions, openHosts } from "./hosts-file.ts";
export { isAddress, isHostName } from "./names.ts";
export { defaultHostsPath } from "./platform.ts";
