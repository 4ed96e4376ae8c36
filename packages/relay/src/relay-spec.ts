import type { AcceptPort, SwitchRecord } from "./protocol.ts";

/** What a relay is wanted for. */
export interface RelaySpec {
  namespace: string;
  /** Of its Deployment and everything that belongs to it: an RFC 1123 label of at most 46 characters, see {@link relayName}. */
  name: string;
  /** `user@machine`, shown to who finds it. */
  owner: string;
  accept?: readonly AcceptPort[];
  switch?: SwitchRecord;
  /** Further labels of its pods: a switched selector's. */
  podLabels?: Readonly<Record<string, string>>;
  /** How long it stays when nobody is linked, in s, 1–86,400. Default 60. */
  graceSeconds?: number;
  /**
   * How long it goes on taking connections at least after it gave a Service back, in s, 0–60: every node has to learn of that. Default 3; a
   * cluster whose nodes are slow to follow its endpoints takes more.
   */
  settleSeconds?: number;
  /** 2: on different nodes where there are, with a disruption budget and short tolerations. Default 1. */
  replicas?: 1 | 2;
  /** With Node 22 or later, and `node` on its PATH. Default {@link DEFAULT_IMAGE}. */
  image?: string;
  imagePullSecrets?: readonly string[];
  /** Requests and limits are always set: a quota or a limit range may ask for them. Defaults {@link DEFAULT_RESOURCES}. */
  resources?: { requests?: Readonly<Record<string, string>>; limits?: Readonly<Record<string, string>> };
  /** Whether it may remove itself (and restore what it switched): that takes a Role. Default true, where the user may make one. */
  selfRemoving?: boolean;
  /** The volumes that it serves, and as whom. */
  files?: RelayFiles;
  /** A Secret of type `kubernetes.io/tls`, for the ports of `accept` that have `tls`. Its pods mount it: nobody else needs to read it. */
  tlsSecret?: string;
}

/** PersistentVolumeClaims of a workload's, to be reached as the workload reaches them. Each stands at {@link claimPath} in the relay's pod. */
export interface RelayFiles {
  claims: ReadonlyArray<{ name: string; readOnly?: boolean; mountPropagation?: "HostToContainer" }>;
  /** Its pod goes to this node and no other, past the scheduler: where a claim may be on one node at a time. */
  nodeName?: string;
  tolerations?: readonly object[];
  user: RelayUser;
  /** How long nothing may come from it until its files fail whoever uses them, in ms, at least 3,000. Default 10,000. */
  silenceMs?: number;
}

/** Whom the relay runs as. No `fsGroup`: the kubelet would change owners for it, and as a supplementary group it opens the same files. */
export interface RelayUser {
  uid: number;
  gid: number;
  supplementalGroups?: readonly number[];
  /** Added for uid 0 alone, which without any can't read what others own. */
  capabilities?: readonly string[];
  seLinuxOptions?: Readonly<Record<string, string>>;
}

/** A Node that is supported for years, in the image that is most often on a node already. */
export const DEFAULT_IMAGE = "node:24-slim";

export const DEFAULT_RESOURCES = {
  requests: { cpu: "20m", memory: "64Mi" },
  limits: { cpu: "1", memory: "256Mi" },
} as const;
