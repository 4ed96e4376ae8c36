/** What a selector sees of a service. */
export interface ServiceFacts {
  namespace: string;
  name: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  type: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
  headless: boolean;
  /** Of an ExternalName: the name that it stands for. */
  externalName?: string;
  ports: ReadonlyArray<{ name?: string; port: number; protocol: string }>;
}

/** Decides which services get a tunnel. Asked again whenever a service changes; must be pure. Several are ANDed. */
export type ServiceSelector = (service: ServiceFacts) => boolean;
