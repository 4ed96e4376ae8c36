import { codedErrors } from "@shipside/core";

export const TUNNEL_ERRORS = {
  TUNNEL_OPTIONS: "an option of openTunnel is of the wrong kind or out of range",
  TUNNEL_NAMESPACE_UNKNOWN: "a namespace that was named doesn't exist",
  TUNNEL_SERVICE_UNKNOWN: "a service that was named isn't there, or not among those tunneled",
  TUNNEL_PORT_UNKNOWN: "a service has no such port, or none was named and it has several",
  TUNNEL_PORT_FAILED: "a service's port has no listener; its cause says why",
  TUNNEL_NO_ENDPOINT: "no pod took a connection within the time it was held",
  TUNNEL_UNSUPPORTED: "what was asked for can't be reached over port-forward: UDP, ExternalName, endpoints that are no pods",
  POOL_INVALID: "the address pool isn't an IPv4 range that has usable addresses",
  POOL_EXHAUSTED: "every address of the pool belongs to a service",
  POOL_LOCKED: "another process kept the pool's state file locked",
  LISTEN_IN_USE: "another socket listens on that address and port",
  LISTEN_FORBIDDEN: "that port or address needs a privilege that this process hasn't",
  LISTEN_FAILED: "a listening socket could not be made",
  DIAL_FAILED: "a pod could not be connected to, and it can't be said that it refused",
} as const;

export const tunnelError = codedErrors(TUNNEL_ERRORS);
