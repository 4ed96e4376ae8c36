import type { IncomingMessage, ServerResponse } from "node:http";
import { copyJson, type Json } from "../json.ts";
import type { NodeRuntime } from "../node/runtime.ts";
import type { KubeJson } from "../store.ts";
import { review } from "./access-reviews.ts";
import { mediaType, readBody } from "./body.ts";
import type { Discovery } from "./discovery.ts";
import { encodeList, encodeObject } from "./encode.ts";
import { listPage } from "./list.ts";
import { type Form, negotiate } from "./negotiation.ts";
import type { OpenApi } from "./openapi.ts";
import { APPLY_PATCH, applyPatch } from "./patch/patch.ts";
import type { Authorizer } from "./rbac.ts";
import type { Registry, WriteOptions } from "./registry.ts";
import { isTrue, type RequestInfo } from "./request-info.ts";
import type { Resource } from "./resources.ts";
import { send } from "./responses.ts";
import { selection } from "./selectors.ts";
import { badRequest, methodNotAllowed, noSuchPath, notFound, StatusError } from "./status.ts";
import { checkEviction, serveLog } from "./subresources/pods.ts";
import { fromScale, toScale } from "./subresources/scale.ts";
import { requestToken } from "./subresources/token.ts";
import { partialMetadata, renderTable, type TableOptions } from "./tables/table.ts";
import type { Authenticator, UserInfo } from "./users.ts";
import type { WatchHub } from "./watch.ts";

export interface HandlerParts {
  registry: Registry;
  authenticator: Authenticator;
  authorizer: Authorizer;
  discovery: Discovery;
  openApi: OpenApi;
  watches: WatchHub;
  node(): NodeRuntime | undefined;
  version: object;
}

/** An authenticated and authorised request. */
export interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  info: RequestInfo;
  query: URLSearchParams;
  user: UserInfo;
}

/** Serves whatever isn't a stream. Throws a Status for what is refused. */
export type Handler = (call: Call) => Promise<void>;

const READY = ["healthz", "livez", "readyz"];

export function createHandler(parts: HandlerParts): Handler {
  const { registry } = parts;

  const nonResource = ({ info, request, response, query }: Call): void => {
    const [first = ""] = info.path.split("/").filter(Boolean);
    if (READY.includes(first)) {
      const verbose = query.has("verbose");
      send(response, 200, verbose ? `[+]ping ok\n[+]etcd ok\n${first} check passed\n` : "ok", "text/plain; charset=utf-8");
      return;
    }
    if (info.path === "/version" || info.path === "/version/") {
      send(response, 200, JSON.stringify(parts.version, undefined, 2));
      return;
    }
    const schema = parts.openApi.document(info.path, request.headers.accept ?? "");
    if (schema) {
      send(response, 200, schema.body, schema.contentType);
      return;
    }
    const form = negotiate(request.headers.accept);
    const document = parts.discovery.document(info.path, form.as === "discovery" ? form.version : undefined);
    if (!document) throw noSuchPath();
    const aggregated = "kind" in document && document.kind === "APIGroupDiscoveryList" && form.as === "discovery";
    const type = aggregated
      ? `application/json;g=apidiscovery.k8s.io;v=${form.version};as=APIGroupDiscoveryList`
      : "application/json";
    send(response, 200, JSON.stringify(document), type);
  };

  return async (call) => {
    const { info, request, query, user } = call;
    if (!info.isResource) return nonResource(call);
    const resource = registry.find(info.group, info.version, info.resource);
    if (!resource || info.rest.length > 0) throw noSuchPath();
    if (resource.namespaced && info.namespace === "" && info.name !== "") throw noSuchPath();
    const options: WriteOptions = { user, dryRun: dryRun(query), manager: fieldManager(call), strictness: strictness(query) };
    options.warn = (message) => call.response.appendHeader("warning", `299 - ${JSON.stringify(message)}`);
    const { namespace, name } = info;

    if (info.subresource) return subresource(parts, call, resource, options);
    if (!resource.verbs.includes(info.verb)) throw methodNotAllowed();

    switch (info.verb) {
      case "get":
        return respond(call, resource, 200, registry.get(resource, namespace, name));
      case "list": {
        const page = listPage(registry.store, resource, namespace || undefined, query);
        return respondList(call, resource, page.items, page.metadata);
      }
      case "watch":
        return watch(parts, call, resource);
      case "create": {
        if (name) throw methodNotAllowed();
        const body = await requiredBody(request);
        const answer = review(resource.key, body, namespace, user, parts);
        if (answer) return respondJson(call, 201, answer);
        return respond(call, resource, 201, registry.create(resource, namespace, body, options));
      }
      case "update":
        return respond(call, resource, 200, registry.update(resource, namespace, name, await requiredBody(request), "", options));
      case "patch":
        return patch(parts, call, resource, "", options);
      case "delete": {
        const deletion = await deleteOptions(call);
        const { object, gone } = registry.delete(resource, namespace, name, { ...options, ...deletion });
        if (!gone || RETURNED.has(resource.key)) return respond(call, resource, 200, object);
        const { uid } = object.metadata;
        return respondJson(call, 200, {
          kind: "Status",
          apiVersion: "v1",
          metadata: {},
          status: "Success",
          details: { name, ...(resource.group && { group: resource.group }), kind: resource.plural, uid },
        });
      }
      case "deletecollection": {
        const deletion = await deleteOptions(call);
        const { match } = selection(resource.key, query);
        const items = registry.store.list(resource.key, namespace || undefined).filter(match);
        const deleted = items.map(
          (item) =>
            registry.delete(resource, item.metadata.namespace ?? "", item.metadata.name, { ...options, ...deletion }).object,
        );
        return respondList(call, resource, deleted, { resourceVersion: String(registry.store.revision) });
      }
      default:
        throw methodNotAllowed();
    }
  };
}

/** Kinds whose deletion answers with the object, not with a Status. */
const RETURNED = new Set(["pods", "services", "persistentvolumeclaims", "persistentvolumes", "serviceaccounts"]);

async function subresource(parts: HandlerParts, call: Call, resource: Resource, options: WriteOptions): Promise<void> {
  const { info, request, response, query, user } = call;
  const { registry } = parts;
  const { namespace, name, verb } = info;
  if (!resource.subresources.includes(info.subresource)) throw noSuchPath();
  const object = registry.get(resource, namespace, name);
  switch (info.subresource) {
    case "status":
    case "finalize":
      if (verb === "get") return respond(call, resource, 200, object);
      if (verb === "patch") return patch(parts, call, resource, info.subresource, options);
      if (verb !== "update") throw methodNotAllowed();
      return respond(
        call,
        resource,
        200,
        registry.update(resource, namespace, name, await requiredBody(request), info.subresource, options),
      );
    case "scale": {
      if (verb === "get") return respond(call, SCALE, 200, toScale(object));
      const scale = toScale(object);
      let wanted: Json;
      if (verb === "update") wanted = await requiredBody(request);
      else if (verb === "patch") wanted = applyPatch(SCALE, scale, await requiredBody(request), mediaType(request));
      else throw methodNotAllowed();
      return respondJson(call, 200, toScale(registry.update(resource, namespace, name, fromScale(object, wanted), "", options)));
    }
    case "token":
      if (verb !== "create") throw methodNotAllowed();
      return respondJson(call, 201, requestToken(registry.store, parts.authenticator, object, await readBody(request)));
    case "eviction": {
      if (verb !== "create") throw methodNotAllowed();
      const eviction = await requiredBody(request);
      checkEviction(registry.store, object);
      registry.delete(resource, namespace, name, { ...options, ...eviction.deleteOptions });
      return respondJson(call, 201, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 });
    }
    case "binding": {
      if (verb !== "create") throw methodNotAllowed();
      const binding = await requiredBody(request);
      registry.store.mutate("pods", namespace, name, (pod) => (pod["spec"].nodeName = binding.target?.name));
      return respondJson(call, 201, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 });
    }
    case "log": {
      if (verb !== "get") throw methodNotAllowed();
      const node = parts.node();
      if (!node) throw new StatusError(500, "InternalError", "Internal error occurred: this cluster runs no node");
      return serveLog(object, query, node, response);
    }
    default:
      // exec, attach, portforward: those that want to be served ask for an upgrade.
      throw badRequest(user ? "Upgrade request required" : "");
  }
}

const SCALE: Resource = {
  group: "autoscaling",
  version: "v1",
  plural: "scales",
  singular: "scale",
  kind: "Scale",
  namespaced: true,
  shortNames: [],
  categories: [],
  verbs: [],
  subresources: [],
  key: "scales.autoscaling",
};

async function requiredBody(request: IncomingMessage): Promise<Json> {
  const body = await readBody(request);
  if (body === undefined) throw badRequest("unexpected EOF");
  return body;
}

async function patch(parts: HandlerParts, call: Call, resource: Resource, sub: string, options: WriteOptions): Promise<void> {
  const { registry } = parts;
  const { request, info } = call;
  const body = await requiredBody(request);
  const type = mediaType(request);
  const found = registry.store.get(resource.key, resource.namespaced ? info.namespace : undefined, info.name);
  if (type === APPLY_PATCH) {
    if (!call.query.get("fieldManager")) {
      throw new StatusError(
        422,
        "Invalid",
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        {
          group: "meta.k8s.io",
          kind: "PatchOptions",
          causes: [{ reason: "FieldValueRequired", message: "Required value: is required for apply patch", field: "fieldManager" }],
        },
      );
    }
    const force = isTrue(call.query.get("force"));
    return respond(
      call,
      resource,
      found ? 200 : 201,
      registry.apply(resource, info.namespace, info.name, body, sub, force, options),
    );
  }
  if (!found) throw notFound(resource.key, info.name);
  const wanted = applyPatch(resource, found, body, type);
  return respond(call, resource, 200, registry.update(resource, info.namespace, info.name, wanted, sub, options));
}

/** `fieldManager`, else what the client's User-Agent begins with. */
function fieldManager({ query, request }: Call): string {
  return query.get("fieldManager") || (request.headers["user-agent"] ?? "unknown").split("/")[0]!.slice(0, 128);
}

function strictness(query: URLSearchParams): "Ignore" | "Warn" | "Strict" {
  const asked = query.get("fieldValidation") || "Warn";
  if (asked === "Ignore" || asked === "Warn" || asked === "Strict") return asked;
  throw new StatusError(
    422,
    "Invalid",
    `CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "${asked}": supported values: "", "Ignore", "Strict", "Warn"`,
  );
}

function watch(parts: HandlerParts, call: Call, resource: Resource): void {
  const { request, response, info, query } = call;
  const form = negotiate(request.headers.accept);
  let headless = false;
  parts.watches.serve({
    resource,
    namespace: info.namespace || undefined,
    name: info.name,
    query,
    response,
    contentType: contentType(form, true),
    ...(form.as === "table" && {
      render: (type, object) => {
        if (type === "BOOKMARK")
          return { ...renderTable(resource, [], object.metadata, { ...tableOptions(form, query), headless: true }) };
        const table = renderTable(
          resource,
          [object],
          { resourceVersion: object.metadata.resourceVersion },
          { ...tableOptions(form, query), headless },
        );
        headless = true;
        return table;
      },
    }),
    ...(form.as === "partial" && { render: (_type, object) => partialMetadata(object, form.version) }),
  });
}

const tableOptions = (form: Form & { as: "table" }, query: URLSearchParams): TableOptions => {
  const include = query.get("includeObject");
  return { include: include === "Object" || include === "None" ? include : "Metadata", version: form.version, now: Date.now() };
};

function contentType(form: Form, stream = false): string {
  if (form.as === "table") return `application/json;as=Table;v=${form.version};g=meta.k8s.io`;
  if (form.as === "partial") return `application/json;as=PartialObjectMetadata${stream ? "" : ""};v=${form.version};g=meta.k8s.io`;
  return form.as === "object" && form.yaml ? "application/yaml" : "application/json";
}

async function respond(call: Call, resource: Resource, code: number, object: KubeJson): Promise<void> {
  const form = negotiate(call.request.headers.accept);
  if (form.as === "table") {
    const table = renderTable(
      resource,
      [object],
      { resourceVersion: object.metadata.resourceVersion },
      tableOptions(form, call.query),
    );
    return send(call.response, code, JSON.stringify(table), contentType(form));
  }
  if (form.as === "partial")
    return send(call.response, code, JSON.stringify(partialMetadata(object, form.version)), contentType(form));
  if (form.as === "object" && form.yaml) return respondYaml(call, code, object);
  send(call.response, code, encodeObject(object));
}

async function respondJson(call: Call, code: number, body: Json): Promise<void> {
  const form = negotiate(call.request.headers.accept);
  if (form.as === "object" && form.yaml) return respondYaml(call, code, body);
  send(call.response, code, JSON.stringify(body));
}

async function respondYaml(call: Call, code: number, body: Json): Promise<void> {
  const { stringify } = await import("yaml");
  send(call.response, code, stringify(copyJson(body)), "application/yaml");
}

async function respondList(call: Call, resource: Resource, items: readonly KubeJson[], metadata: object): Promise<void> {
  const form = negotiate(call.request.headers.accept);
  const apiVersion = resource.group ? `${resource.group}/${resource.version}` : resource.version;
  if (form.as === "table") {
    return send(
      call.response,
      200,
      JSON.stringify(renderTable(resource, items, metadata, tableOptions(form, call.query))),
      contentType(form),
    );
  }
  if (form.as === "partial") {
    const list = {
      kind: "PartialObjectMetadataList",
      apiVersion: `meta.k8s.io/${form.version}`,
      metadata,
      items: items.map((item) => partialMetadata(item, form.version)),
    };
    return send(call.response, 200, JSON.stringify(list), contentType(form).replace("Metadata;", "MetadataList;"));
  }
  if (form.as === "object" && form.yaml)
    return respondYaml(call, 200, { kind: `${resource.kind}List`, apiVersion, metadata, items });
  send(call.response, 200, encodeList({ kind: `${resource.kind}List`, apiVersion, metadata }, items, !resource.custom));
}

function dryRun(query: URLSearchParams): boolean {
  const values = query.getAll("dryRun");
  if (values.length === 0) return false;
  if (values.every((value) => value === "All")) return true;
  throw new StatusError(
    422,
    "Invalid",
    `CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ${JSON.stringify(values)}: supported values: "All"`,
  );
}

/** From the body and the query; the query wins where there is no body. */
async function deleteOptions({ request, query }: Call): Promise<{
  gracePeriodSeconds?: number;
  propagationPolicy?: string;
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: boolean;
}> {
  const body = (await readBody(request)) ?? {};
  const grace = body.gracePeriodSeconds ?? (query.get("gracePeriodSeconds") ? Number(query.get("gracePeriodSeconds")) : undefined);
  const orphan = body.orphanDependents === true || isTrue(query.get("orphanDependents"));
  const policy = body.propagationPolicy ?? query.get("propagationPolicy") ?? (orphan ? "Orphan" : undefined);
  if (policy && !["Background", "Foreground", "Orphan"].includes(policy)) {
    throw new StatusError(
      422,
      "Invalid",
      `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "${policy}": supported values: "Background", "Foreground", "Orphan", "nil"`,
    );
  }
  return {
    ...(grace !== undefined && { gracePeriodSeconds: grace }),
    ...(policy && { propagationPolicy: policy }),
    ...(body.preconditions && { preconditions: body.preconditions }),
    ...(body.dryRun?.length && { dryRun: true }),
  };
}
