export type { ClusterService, EndpointOfService, PortOfService } from "./cluster-service.ts";
export type { Exchange, ExchangeOptions } from "./exchange.ts";
export { machineServers } from "./machine-servers.ts";
export {
  type PodDns,
  parseResolvConf,
  podResolvConf,
  type ResolvConf,
  type ResolvConfOptions,
  renderResolvConf,
} from "./resolv-conf.ts";
export { openResolver, type Resolver, type ResolverOptions } from "./resolver.ts";
