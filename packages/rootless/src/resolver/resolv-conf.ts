export interface PodDns {
  namespace: string;
  /** Default `ClusterFirst`, as the API's. */
  dnsPolicy?: "ClusterFirst" | "ClusterFirstWithHostNet" | "Default" | "None";
  /** Of the pod's network: ClusterFirst means Default there. */
  hostNetwork?: boolean;
  dnsConfig?: {
    nameservers?: readonly string[];
    searches?: readonly string[];
    options?: readonly { name?: string; value?: string }[];
  };
}

/** What a resolv.conf says. */
export interface ResolvConf {
  nameservers: readonly string[];
  searches: readonly string[];
  options: readonly string[];
}
