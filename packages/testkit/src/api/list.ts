import type { KubeJson, Store } from "../store.ts";
import type { Resource } from "./resources.ts";
import { selection } from "./selectors.ts";
import { badRequest, expired, StatusError } from "./status.ts";

export interface Page {
  items: KubeJson[];
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
}

interface Continue {
  v: "meta.k8s.io/v1";
  /** The list's version; every page is of the same. */
  rv: number;
  /** Key of the last item sent. */
  start: string;
}

const keyOf = ({ metadata }: KubeJson): string => (metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name);

/** `limit`, `continue`, selectors and resourceVersion, as "Kubernetes API Concepts" has them. */
export function listPage(store: Store, resource: Resource, namespace: string | undefined, query: URLSearchParams): Page {
  const { match, empty } = selection(resource.key, query);
  const limit = number(query.get("limit"), "limit");
  const token = query.get("continue") ? decodeContinue(query.get("continue")!) : undefined;
  const version = query.get("resourceVersion") ?? "";
  const matching = query.get("resourceVersionMatch") ?? "";
  checkVersion(version, matching, token !== undefined, store.revision);

  const at = token ? token.rv : matching === "Exact" ? Number(version) : store.revision;
  const all = at >= store.revision ? store.list(resource.key, namespace) : store.listAt(resource.key, namespace, at);
  if (!all) throw token ? expired() : expired(`The resourceVersion for the provided list is too old.`);
  let items = empty ? all : all.filter(match);
  if (token) items = items.slice(firstAfter(items, token.start));
  const metadata: Page["metadata"] = { resourceVersion: String(at) };
  if (limit > 0 && items.length > limit) {
    const rest = items.length - limit;
    items = items.slice(0, limit);
    metadata.continue = Buffer.from(
      JSON.stringify({ v: "meta.k8s.io/v1", rv: at, start: keyOf(items.at(-1)!) } satisfies Continue),
    ).toString("base64url");
    if (empty) metadata.remainingItemCount = rest;
  }
  return { items, metadata };
}

function firstAfter(items: readonly KubeJson[], key: string): number {
  const found = items.findIndex((item) => keyOf(item) > key);
  return found < 0 ? items.length : found;
}

function number(text: string | null, name: string): number {
  if (text === null || text === "") return 0;
  if (!/^-?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing "${text}": invalid syntax (${name})`);
  return Number(text);
}

function decodeContinue(text: string): Continue {
  try {
    const token = JSON.parse(Buffer.from(text, "base64url").toString()) as Continue;
    if (token.v === "meta.k8s.io/v1" && Number.isInteger(token.rv) && typeof token.start === "string") return token;
  } catch {
    // Falls through to the answer below, which says all there is to say.
  }
  throw badRequest("continue key is not valid: illegal base64 data or not a continue token");
}

function checkVersion(version: string, matching: string, continues: boolean, current: number): void {
  const wrong = (field: string, message: string): StatusError =>
    new StatusError(422, "Invalid", `ListOptions.meta.k8s.io "" is invalid: ${field}: ${message}`, {
      group: "meta.k8s.io",
      kind: "ListOptions",
      causes: [{ reason: "FieldValueForbidden", message, field }],
    });
  if (matching) {
    if (!version)
      throw wrong("resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (continues) throw wrong("resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden when continue is provided");
    if (matching !== "Exact" && matching !== "NotOlderThan") {
      throw wrong("resourceVersionMatch", `Unsupported value: "${matching}": supported values: "Exact", "NotOlderThan"`);
    }
    if (matching === "Exact" && version === "0") {
      throw wrong("resourceVersionMatch", 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
    }
  }
  if (version === "") return;
  if (continues && version !== "0") throw badRequest("specifying resource version is not allowed when using continue");
  checkFuture(version, current);
}

/** A version that this server hasn't reached: from another cluster, or from before a restore. */
export function checkFuture(version: string, current: number): void {
  if (!/^\d+$/.test(version)) {
    throw new StatusError(
      400,
      "BadRequest",
      `resourceVersion: Invalid value: "${version}": strconv.ParseUint: parsing "${version}": invalid syntax`,
    );
  }
  if (Number(version) <= current) return;
  throw new StatusError(504, "Timeout", `Too large resource version: ${version}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}
