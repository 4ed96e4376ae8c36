import type { SessionOptions } from "../session-info.ts";
import type { ObjectField } from "./fields.ts";
import { envFileKind } from "./kinds/env-file.ts";
import { exposeKind } from "./kinds/expose.ts";
import { interceptKind } from "./kinds/intercept.ts";
import { mountKind } from "./kinds/mount.ts";
import { teleportKind } from "./kinds/teleport.ts";

/** An entry as the file has it, checked by its kind's shape; paths are absolute, and the file's own defaults are filled in. */
export type ProfileEntry = Readonly<Record<string, unknown>>;

/** A kind of entry: what it looks like in the file, and which session it is. */
export interface ProfileKind {
  /** The key of its list in the file. */
  readonly list: string;
  readonly describe: string;
  readonly shape: ObjectField;
  /** What it is about, in a few words. */
  title(entry: ProfileEntry): string;
  /** `where` has the entry's kubeconfig, context and namespace. */
  session(entry: ProfileEntry, where: SessionOptions): SessionOptions;
}

/** A new kind is one line here. */
export const PROFILE_KINDS: readonly ProfileKind[] = [teleportKind, envFileKind, mountKind, interceptKind, exposeKind];
