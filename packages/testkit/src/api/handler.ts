import type { IncomingMessage } from "node:http";
import type { Json } from "../json.ts";
import type { NodeRuntime } from "../node/runtime.ts";
import { review } from "./access-reviews.ts";
import { mediaType, readBody } from "./body.ts";
import type { Call } from "./call.ts";
import type { Discovery } from "./discovery.ts";
import { list } from "./kinds/strategy.ts";
import { listPage } from "./list.ts";
import { negotiate } from "./negotiation.ts";
import type { OpenApi } from "./openapi.ts";
import { APPLY_PATCH, applyPatch } from "./patch/patch.ts";
import type { Authorizer } from "./rbac.ts";
import type { Registry, WriteOptions } from "./registry.ts";
import { contentType, respond, respondJson, respondList, tableOptions } from "./representation.ts";
import { isTrue } from "./request-info.ts";
import { deleteOptions, writeOptions } from "./request-options.ts";
import type { Resource } from "./resources.ts";
import { send } from "./responses.ts";
import { selection } from "./selectors.ts";
import { badRequest, methodNotAllowed, noSuchPath, notFound, StatusError } from "./status.ts";
import { checkEviction, serveLog } from "./subresources/pods.ts";
import { fromScale, toScale } from "./subresources/scale.ts";
import { requestToken } from "./subresources/token.ts";
import { partialMetadata, renderTable } from "./tables/table.ts";
import type { Authenticator } from "./users.ts";
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
    const options = writeOptions(call);
    const { namespace, name } = info;
    if (resource.deprecation) options.warn?.(resource.deprecation);

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
      return respondJson(
        call,
        200,
        toScale(registry.update(resource, namespace, name, fromScale(object, wanted), "scale", options)),
      );
    }
    case "token":
      if (verb !== "create") throw methodNotAllowed();
      return respondJson(call, 201, requestToken(registry.store, parts.authenticator, object, await readBody(request)));
    case "eviction": {
      if (verb !== "create") throw methodNotAllowed();
      const eviction = await requiredBody(request);
      const dry = options.dryRun || list(eviction.deleteOptions?.dryRun).length > 0;
      checkEviction(registry.store, object, dry);
      registry.delete(resource, namespace, name, { ...options, ...eviction.deleteOptions, dryRun: dry });
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
    contentType: contentType(form),
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
