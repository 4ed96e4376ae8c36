import type { Duplex } from "node:stream";
import type { Cluster, Pod } from "@shipside/kube";
import type { RelaySpec } from "./manifest.ts";

/** A relay that is in the cluster, and ready. */
export interface DeployedRelay {
  readonly name: string;
  readonly namespace: string;
  /** Asked for on its link. */
  readonly secret: string;
  /** Whether it may remove itself (and restore what it switched) when its owner is gone: false where the user may not create Roles. */
  readonly selfRemoving: boolean;
  /** Its live pods, ready ones first. */
  pods(options?: { signal?: AbortSignal }): Promise<Pod[]>;
  /** A stream to the control port of one of its pods, by name; without a name of a ready one. */
  openControl(pod?: string, options?: { signal?: AbortSignal }): Promise<Duplex>;
  /** Deletes its Deployment, and with it everything of its. Resolves when the Deployment is gone from the API. */
  remove(options?: { signal?: AbortSignal }): Promise<void>;
}

export type DeployRelay = (cluster: Cluster, spec: RelaySpec, options: { signal: AbortSignal }) => Promise<DeployedRelay>;
