import type { IncomingMessage } from "node:http";
import { type Attributes, type Authorizer, attributesOf, forbidden } from "./rbac.ts";
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

/** Throws Status 403. A WebSocket's GET needs `create` besides `get`, as what it carries does (1.36). */
export function authorize(request: IncomingMessage, info: RequestInfo, user: UserInfo, authorizer: Authorizer): void {
  const attributes = attributesOf(info);
  const decision = authorizer.authorize(user, attributes);
  if (!decision.allowed) throw forbidden(user, attributes, decision.reason);
  const streams = info.resource === "pods" && ["exec", "attach", "portforward"].includes(info.subresource);
  if (!streams || info.verb !== "get" || request.headers.upgrade?.toLowerCase() !== "websocket") return;
  const create = { ...(attributes as Attributes & { resource: string }), verb: "create" };
  const second = authorizer.authorize(user, create);
  if (!second.allowed) throw forbidden(user, create, second.reason);
}
