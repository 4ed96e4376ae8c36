export type { ListeningSocket } from "./agent/requests.ts";
export { ROOTLESS_ERRORS, rootlessError } from "./errors.ts";
export { whyMountsAreHidden } from "./hidden-mounts.ts";
export {
  type MountOptions,
  type Namespace,
  type NamespaceCommand,
  type NamespaceOptions,
  openNamespace,
  type RunOptions,
} from "./namespace.ts";
export { findObstacle, type ObstacleOptions } from "./obstacle.ts";
export { forwardOpenedPorts, type OpenedPort, type OpenedPortsOptions } from "./opened-ports.ts";
export {
  findProgram,
  type HostPort,
  type OutsideKind,
  type OutsideOptions,
  type OutsideWorld,
  openOutsideWorld,
} from "./outside/index.ts";
export {
  type ClusterService,
  type EndpointOfService,
  type Exchange,
  type ExchangeOptions,
  machineServers,
  openResolver,
  type PodDns,
  type PortOfService,
  parseResolvConf,
  podResolvConf,
  type ResolvConf,
  type ResolvConfOptions,
  type Resolver,
  type ResolverOptions,
  renderResolvConf,
} from "./resolver/index.ts";
