/**
 * The parts of Kubernetes objects that Shipside reads, named as in the API reference (v1.36). Optional where the API omits the field.
 * Structural and open: an object from any client fits.
 */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** A kind that the API server serves. `T` is what its objects look like. */
export interface ResourceType<T extends KubeObject = KubeObject> {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** As `kubectl api-resources` shows them. */
  readonly shortNames: readonly string[];
  /** Carries `T`; never set. */
  readonly _object?: T;
}

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: Array<{ key: string; operator: "In" | "NotIn" | "Exists" | "DoesNotExist"; values?: string[] }>;
}

export interface ServicePort {
  name?: string;
  protocol?: "TCP" | "UDP" | "SCTP";
  port: number;
  targetPort?: number | string;
  nodePort?: number;
  appProtocol?: string;
}

export interface Service extends KubeObject {
  spec: {
    type?: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
    clusterIP?: string;
    clusterIPs?: string[];
    externalName?: string;
    selector?: Record<string, string>;
    ports?: ServicePort[];
    sessionAffinity?: "None" | "ClientIP";
    sessionAffinityConfig?: { clientIP?: { timeoutSeconds?: number } };
    publishNotReadyAddresses?: boolean;
  };
}

export interface EndpointConditions {
  /** Absent means true (discovery.k8s.io/v1). */
  ready?: boolean;
  serving?: boolean;
  terminating?: boolean;
}

export interface EndpointSlice extends KubeObject {
  addressType: "IPv4" | "IPv6" | "FQDN";
  /** The API server may send null for an empty list. */
  endpoints?: Array<{
    addresses: string[];
    conditions?: EndpointConditions;
    hostname?: string;
    nodeName?: string;
    zone?: string;
    targetRef?: { kind?: string; namespace?: string; name?: string; uid?: string };
  }> | null;
  ports?: Array<{ name?: string; port?: number; protocol?: string; appProtocol?: string }> | null;
}

export interface EnvVarSource {
  configMapKeyRef?: { name: string; key: string; optional?: boolean };
  secretKeyRef?: { name: string; key: string; optional?: boolean };
  fieldRef?: { fieldPath: string; apiVersion?: string };
  resourceFieldRef?: { resource: string; containerName?: string; divisor?: string };
  /** KEP-3721: a key of an env file in a volume of the pod. */
  fileKeyRef?: { volumeName: string; path: string; key: string; optional?: boolean };
}

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: EnvVarSource;
}

export interface EnvFromSource {
  prefix?: string;
  configMapRef?: { name: string; optional?: boolean };
  secretRef?: { name: string; optional?: boolean };
}

export interface VolumeMount {
  name: string;
  mountPath: string;
  readOnly?: boolean;
  subPath?: string;
  subPathExpr?: string;
  mountPropagation?: string;
}

export interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  workingDir?: string;
  env?: EnvVar[];
  envFrom?: EnvFromSource[];
  ports?: Array<{ name?: string; containerPort: number; protocol?: string }>;
  resources?: { limits?: Record<string, string>; requests?: Record<string, string> };
  volumeMounts?: VolumeMount[];
  /** Claims whose volumeMode is Block. */
  volumeDevices?: Array<{ name: string; devicePath: string }>;
  restartPolicy?: string;
}

export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  volumes?: Array<{ name: string; [source: string]: unknown }>;
  nodeName?: string;
  hostname?: string;
  subdomain?: string;
  setHostnameAsFQDN?: boolean;
  dnsPolicy?: "ClusterFirst" | "ClusterFirstWithHostNet" | "Default" | "None";
  dnsConfig?: { nameservers?: string[]; searches?: string[]; options?: Array<{ name?: string; value?: string }> };
  serviceAccountName?: string;
  enableServiceLinks?: boolean;
  hostNetwork?: boolean;
}

export interface ContainerStatus {
  name: string;
  ready: boolean;
  restartCount: number;
  image: string;
  state?: Record<string, unknown>;
  lastState?: Record<string, unknown>;
}

export interface PodStatus {
  phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
  podIP?: string;
  podIPs?: Array<{ ip: string }>;
  hostIP?: string;
  startTime?: string;
  conditions?: Array<{ type: string; status: string; reason?: string; message?: string }>;
  containerStatuses?: ContainerStatus[];
}

export interface Pod extends KubeObject {
  spec: PodSpec;
  status?: PodStatus;
}

export interface PodTemplate {
  metadata?: Partial<ObjectMeta>;
  spec: PodSpec;
}

/** Deployment, StatefulSet, DaemonSet, ReplicaSet, Job: what they have in common for us. */
export interface PodController extends KubeObject {
  spec: { selector?: LabelSelector; template: PodTemplate; replicas?: number; serviceName?: string };
  status?: Record<string, unknown>;
}

export interface CronJob extends KubeObject {
  spec: { schedule: string; jobTemplate: { metadata?: Partial<ObjectMeta>; spec: { template: PodTemplate } } };
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
  /** base64 */
  binaryData?: Record<string, string>;
  immutable?: boolean;
}

export interface Secret extends KubeObject {
  type?: string;
  /** base64 */
  data?: Record<string, string>;
  immutable?: boolean;
}

export interface Namespace extends KubeObject {
  status?: { phase?: "Active" | "Terminating" };
}

const type = <T extends KubeObject>(
  group: string,
  plural: string,
  kind: string,
  shortNames: string[] = [],
  namespaced = true,
): ResourceType<T> => ({ group, version: "v1", plural, kind, namespaced, shortNames });

export const NAMESPACES = type<Namespace>("", "namespaces", "Namespace", ["ns"], false);
export const SERVICES = type<Service>("", "services", "Service", ["svc"]);
export const PODS = type<Pod>("", "pods", "Pod", ["po"]);
export const CONFIG_MAPS = type<ConfigMap>("", "configmaps", "ConfigMap", ["cm"]);
export const SECRETS = type<Secret>("", "secrets", "Secret");
export const ENDPOINT_SLICES = type<EndpointSlice>("discovery.k8s.io", "endpointslices", "EndpointSlice");
export const DEPLOYMENTS = type<PodController>("apps", "deployments", "Deployment", ["deploy"]);
export const STATEFUL_SETS = type<PodController>("apps", "statefulsets", "StatefulSet", ["sts"]);
export const DAEMON_SETS = type<PodController>("apps", "daemonsets", "DaemonSet", ["ds"]);
export const REPLICA_SETS = type<PodController>("apps", "replicasets", "ReplicaSet", ["rs"]);
export const JOBS = type<PodController>("batch", "jobs", "Job");
export const CRON_JOBS = type<CronJob>("batch", "cronjobs", "CronJob", ["cj"]);
