export interface PortOfService {
  /** Without a name it has no `_port._protocol` record of its own. */
  name?: string;
  /** Default TCP. */
  protocol?: "TCP" | "UDP" | "SCTP";
  /** What a client connects to: the service's port, and at an endpoint the pod's own. */
  port: number;
}

/** A pod behind a service, as an EndpointSlice lists it. */
export interface EndpointOfService {
  addresses: readonly string[];
  /** The pod's `hostname`, where its `subdomain` is the service. Without it the endpoint is named for its address (`10-1-2-3`). */
  hostname?: string;
  /** Default: the service's. */
  ports?: readonly PortOfService[];
}

/** What the cluster's DNS has records for. */
export interface ClusterService {
  namespace: string;
  name: string;
  /**
   * ClusterIPs of both families. None, and no `externalName`: the service is headless, and stands for its endpoints. With an `externalName`
   * that isn't the cluster's: where its target is reached, for who came by this service's name.
   */
  addresses?: readonly string[];
  /** What an ExternalName service is another name for. */
  externalName?: string;
  ports?: readonly PortOfService[];
  /** Those that are ready (or all, where the service publishes addresses that are not). */
  endpoints?: readonly EndpointOfService[];
}
