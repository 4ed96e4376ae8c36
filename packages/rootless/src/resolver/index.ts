export type { ClusterService, EndpointOfService, PortOfService } from "./cluster-service.ts";
export type { Exchange, ExchangeOptions } from "./exchange.ts";
export type { PodDns, ResolvConf } from "./resolv-conf.ts";
export type { Resolver, ResolverOptions } from "./resolver.ts";
