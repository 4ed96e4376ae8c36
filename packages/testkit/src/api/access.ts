import type { IncomingMessage } from "node:http";
import { type Attributes, type Authorizer, attributesOf, forbidden, forbiddenFor } from "./rbac.ts";
import type { RequestInfo } from "./request-info.ts";
import { badRequest } from "./status.ts";
import type { Authenticator, UserInfo } from "./users.ts";

/** Who asks: the authenticated user, or whom they may impersonate. Throws Status 401 and 403. */
export function identify(request: IncomingMessage, authenticator: Authenticator, authorizer: Authorizer): UserInfo {
  const user = authenticator.authenticate(request);
  const name = request.headers["impersonate-user"] as string | undefined;
  const groups = [request.headersDistinct["impersonate-group"] ?? []].flat();
  if (name === undefined) {
    if (groups.length > 0) throw badRequest("requested impersonation without user name");
    return user;
  }
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  const check = (resource: string, who: string, namespace = ""): void => {
    const attributes: Attributes = { verb: "impersonate", namespace, group: "", resource, subresource: "", name: who };
    const decision = authorizer.authorize(user, attributes);
    if (!decision.allowed) throw forbidden(user, attributes, decision.reason);
  };
  if (account) check("serviceaccounts", account[2]!, account[1]!);
  else check("users", name);
  for (const group of groups) check("groups", group);
  const implied = account && groups.length === 0 ? ["system:serviceaccounts", `system:serviceaccounts:${account[1]}`] : [];
  return { username: name, groups: [...new Set([...groups, ...implied, "system:authenticated"])] };
}

const STREAMS: readonly string[] = ["exec", "attach", "portforward"];

/**
 * Throws Status 403. A pod's streams need `create` besides the verb of the request, which is `get` for a WebSocket's GET: since 1.35 the
 * handlers of these subresources ask for it themselves, and pass on the authorizer's reason alone, which RBAC mostly leaves empty
 * (https://github.com/kubernetes/kubernetes/pull/134577).
 */
export function authorize(info: RequestInfo, user: UserInfo, authorizer: Authorizer): void {
  const attributes = attributesOf(info);
  const decision = authorizer.authorize(user, attributes);
  if (!decision.allowed) throw forbidden(user, attributes, decision.reason);
  if ("path" in attributes || info.resource !== "pods" || !STREAMS.includes(info.subresource)) return;
  const create = authorizer.authorize(user, { ...attributes, verb: "create" });
  if (!create.allowed) throw forbiddenFor(attributes, create.reason);
}
