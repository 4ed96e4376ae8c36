/** What a request is about, as the real server's RequestInfo resolves it from method, path and query. */
export interface RequestInfo {
  /** For a resource: get, list, watch, create, update, patch, delete, deletecollection; otherwise the lower-case method. */
  verb: string;
  path: string;
  isResource: boolean;
  group: string;
  version: string;
  namespace: string;
  resource: string;
  subresource: string;
  name: string;
  /** The only name that a list, watch or deletion of many selects, where there is one: counts for authorization. */
  selected: string;
  /** Further parts of the path, behind the subresource. */
  rest: readonly string[];
}

const VERBS: Readonly<Record<string, string>> = {
  POST: "create",
  GET: "get",
  HEAD: "get",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};
/** Resources of a namespace object itself, not of things in it. */
const NAMESPACE_SUBRESOURCES = new Set(["status", "finalize"]);

export function parseRequest(method: string, path: string, query: URLSearchParams): RequestInfo {
  const info: RequestInfo = {
    verb: method.toLowerCase(),
    path,
    isResource: false,
    group: "",
    version: "",
    namespace: "",
    resource: "",
    subresource: "",
    name: "",
    selected: "",
    rest: [],
  };
  let parts = path.split("/").filter(Boolean).map(decodePart);
  if (parts[0] === "api" && parts.length >= 3) {
    info.version = parts[1]!;
    parts = parts.slice(2);
  } else if (parts[0] === "apis" && parts.length >= 4) {
    info.group = parts[1]!;
    info.version = parts[2]!;
    parts = parts.slice(3);
  } else return info;

  info.isResource = true;
  info.verb = VERBS[method] ?? method.toLowerCase();
  const legacyWatch = parts[0] === "watch" && parts.length > 1;
  if (legacyWatch) parts = parts.slice(1);

  if (parts[0] === "namespaces" && parts.length > 1) {
    info.namespace = parts[1]!;
    if (parts.length > 2 && !NAMESPACE_SUBRESOURCES.has(parts[2]!)) parts = parts.slice(2);
  }
  [info.resource = "", info.name = "", info.subresource = ""] = parts;
  info.rest = parts.slice(3);

  if (info.verb === "get" && (legacyWatch || (info.name === "" && isTrue(query.get("watch"))))) info.verb = "watch";
  else if (info.verb === "get" && info.name === "") info.verb = "list";
  else if (info.verb === "get" && isTrue(query.get("watch")) && info.subresource === "") info.verb = "watch";
  else if (info.verb === "delete" && info.name === "") info.verb = "deletecollection";
  if (info.verb === "list" || info.verb === "watch" || info.verb === "deletecollection")
    info.selected = nameSelected(query.get("fieldSelector") ?? "");
  return info;
}

/** As the API server's request info: a list or watch of `metadata.name=x` is authorized as one of that name. */
function nameSelected(fieldSelector: string): string {
  const [, name = ""] = /(?:^|,)metadata\.name==?([^,=!]+)(?:,|$)/.exec(fieldSelector) ?? [];
  return name;
}

export function isTrue(value: string | null): boolean {
  return value === "true" || value === "1" || value === "True" || value === "TRUE" || value === "t" || value === "T";
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
