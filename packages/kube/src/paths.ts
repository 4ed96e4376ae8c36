import type { ResourceType } from "./objects.ts";

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** `?a=b`, without what is undefined; "" where nothing is left. */
export function queryString(query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) params.append(key, String(value));
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

export interface PathParts {
  /** Left out for a cluster-scoped kind, or to mean all namespaces. */
  namespace?: string | undefined;
  name?: string | undefined;
  subresource?: string | undefined;
}

/** The path of a collection or an object (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris). */
export function resourcePath(type: ResourceType, { namespace, name, subresource }: PathParts = {}): string {
  const root = type.group === "" ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scope = type.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const rest = [name, subresource].filter((part) => part !== undefined).map((part) => `/${encodeURIComponent(part)}`);
  return `${root}${scope}/${type.plural}${rest.join("")}`;
}
