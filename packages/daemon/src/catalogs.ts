import { CORE_ERRORS, type ErrorCatalog } from "@shipside/core";
import { ENV_ERRORS } from "@shipside/envexport";
import { HOSTS_ERRORS } from "@shipside/hosts";
import { INSPECTOR_ERRORS } from "@shipside/inspector";
import { KUBE_ERRORS } from "@shipside/kube";
import { PROXY_ERRORS } from "@shipside/proxy";
import { RELAY_ERRORS } from "@shipside/relay";
import { ROOTLESS_ERRORS } from "@shipside/rootless";
import { TUNNEL_ERRORS } from "@shipside/tunnel";
import { VOLUMES_ERRORS } from "@shipside/volumes";
import { DAEMON_ERRORS } from "./errors.ts";

/** The codes of every package that a session is made of. */
export const ERROR_CATALOGS: Readonly<Record<string, ErrorCatalog>> = {
  core: CORE_ERRORS,
  kube: KUBE_ERRORS,
  hosts: HOSTS_ERRORS,
  tunnel: TUNNEL_ERRORS,
  envexport: ENV_ERRORS,
  relay: RELAY_ERRORS,
  proxy: PROXY_ERRORS,
  volumes: VOLUMES_ERRORS,
  rootless: ROOTLESS_ERRORS,
  inspector: INSPECTOR_ERRORS,
  daemon: DAEMON_ERRORS,
};
