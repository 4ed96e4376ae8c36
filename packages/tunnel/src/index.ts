export { TUNNEL_ERRORS, tunnelError } from "./errors.ts";
export type {
  ConnectionFacts,
  ConnectionOutcome,
  Staleness,
  TunnelEventSource,
  TunnelEvents,
  TunnelTap,
  Unsupported,
} from "./events.ts";
export { describeHolder, findHolder, listeningSockets, type PortHolder } from "./holder.ts";
export { type AddressRange, DEFAULT_CIDR, type IpPool, type IpPoolOptions, openIpPool, parseRange } from "./ip-pool.ts";
export { listenError, localListeners } from "./listener.ts";
export type { TunnelOptions } from "./options.ts";
export { parseHostPort } from "./outside.ts";
export { podDialer } from "./pod-dialer.ts";
export { defaultStateFile } from "./pool-state.ts";
export type { EndpointFacts, PortState, TunneledPort } from "./port.ts";
export { ruleProblem, type ServiceRules, serviceRules } from "./selection.ts";
export type { PortStatus, ServiceStatus, TunnelStatus } from "./status.ts";
export { openTunnel, type Tunnel } from "./tunnel.ts";
export type { TunneledPod, TunneledService } from "./tunneled-service.ts";
