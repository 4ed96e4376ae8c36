/**
 * A kind of residue: how it is undone, and how to see whether it is still there. Making it stands in the same file. `undo` must be
 * idempotent and must bear that the thing was never made: a crash may come between the record and the making.
 */
export interface ResidueKind<D = Readonly<Record<string, unknown>>> {
  readonly kind: string;
  undo(data: D): Promise<void>;
  /** What is still there, in a few words for a person; undefined where nothing is. */
  left(data: D): Promise<string | undefined>;
}
