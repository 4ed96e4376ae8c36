import type { Cluster } from "@shipside/kube";
import type { Rule } from "../rbac/rule.ts";
import type { ClusterAddress } from "./cluster-address.ts";

/** How an undoing went, where that wasn't plain. */
export interface Undone {
  /** What a person should know of it, to stand after what was undone: "it had been edited: …". */
  said?: string;
  /** There was nothing to undo: it had gone by itself, or is another's by now. */
  gone?: boolean;
}

/** What undoing may need besides the record. */
export interface UndoContext {
  /** A connection to the cluster that a residue is in, shared by all that is undone together. Rejects at once for one that is away. */
  cluster(address: ClusterAddress): Promise<Cluster>;
}

/**
 * A kind of residue: how it is undone, and how to see whether it is still there. Making it stands in the same file. `undo` must be
 * idempotent, must bear that the world moved on, and that the thing was never made: a crash may come between the record and the making.
 */
export interface ResidueKind<D = Readonly<Record<string, unknown>>> {
  readonly kind: string;
  /** Where it is: undoing what is in a cluster takes the network and somebody's credentials. */
  readonly place: "machine" | "cluster";
  /** It, in a few words for a person. */
  describe(data: D): string;
  undo(data: D, context: UndoContext): Promise<Undone | void>;
  /** What is still there, in a few words for a person; undefined where nothing is. Asks no cluster: what is recorded counts there. */
  left(data: D): Promise<string | undefined>;
  /** Of what is in a cluster: the rights that `undo` takes there. */
  rules?(data: D): Rule[];
}
