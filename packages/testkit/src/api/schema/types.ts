import { ACCESS } from "./access.ts";
import { CORE } from "./core.ts";
import { META } from "./meta.ts";
import { NETWORK } from "./network.ts";
import { type MessageType, parseTypes } from "./notation.ts";
import { PODS } from "./pods.ts";
import { WORKLOADS } from "./workloads.ts";

let parsed: Map<string, MessageType> | undefined;

/** A type by its name. The schema is read when it is first asked for. */
export function messageType(name: string): MessageType | undefined {
  parsed ??= parseTypes([META, PODS, CORE, WORKLOADS, ACCESS, NETWORK].join("\n"));
  return parsed.get(name);
}

/** The type of a built-in kind's objects; undefined for custom kinds and those that are stored as they come. */
export const kindType = (resource: { kind: string; custom?: unknown }): MessageType | undefined =>
  resource.custom ? undefined : messageType(resource.kind);
