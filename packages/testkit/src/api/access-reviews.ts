import type { Json } from "../json.ts";
import type { Attributes, Authorizer, PolicyRule } from "./rbac.ts";
import { invalid } from "./status.ts";
import type { Authenticator, UserInfo } from "./users.ts";

interface Reviewers {
  authorizer: Authorizer;
  authenticator: Authenticator;
}

/** Kinds of authorization.k8s.io and authentication.k8s.io: created, answered, never stored. Undefined for any other resource. */
export function review(
  key: string,
  body: Json,
  namespace: string,
  user: UserInfo,
  { authorizer, authenticator }: Reviewers,
): Json | undefined {
  const answered = (status: object): Json => ({ ...body, metadata: { ...body.metadata, creationTimestamp: null }, status });
  const access = (who: UserInfo): Json => {
    const attributes = attributesOfSpec(body, namespace);
    const decision = authorizer.authorize(who, attributes);
    return answered({
      allowed: decision.allowed,
      ...(decision.reason && { reason: decision.reason }),
      ...(!decision.allowed && decision.errors.length > 0 && { evaluationError: decision.errors.join(", ") }),
    });
  };
  switch (key) {
    case "selfsubjectaccessreviews.authorization.k8s.io":
      return access(user);
    case "subjectaccessreviews.authorization.k8s.io":
    case "localsubjectaccessreviews.authorization.k8s.io": {
      const { user: username = "", groups = [], uid } = body.spec ?? {};
      return access({ username, groups, ...(uid && { uid }) });
    }
    case "selfsubjectrulesreviews.authorization.k8s.io": {
      const { rules, errors } = authorizer.rules(user, body.spec?.namespace ?? "");
      const list = (wanted: (rule: PolicyRule) => boolean): PolicyRule[] => rules.filter(wanted);
      return answered({
        resourceRules: list((rule) => !rule.nonResourceURLs?.length),
        nonResourceRules: list((rule) => !!rule.nonResourceURLs?.length),
        incomplete: errors.length > 0,
        ...(errors.length > 0 && { evaluationError: errors.join(", ") }),
      });
    }
    case "selfsubjectreviews.authentication.k8s.io":
      return answered({ userInfo: user });
    case "tokenreviews.authentication.k8s.io": {
      const found = authenticator.token(String(body.spec?.token ?? ""));
      const wanted: string[] = body.spec?.audiences ?? [];
      const audiences = found?.audiences.filter((audience) => wanted.length === 0 || wanted.includes(audience)) ?? [];
      if (!found || audiences.length === 0) return answered({ user: {}, error: "[invalid bearer token]" });
      return answered({ authenticated: true, user: found.user, audiences });
    }
    default:
      return undefined;
  }
}

function attributesOfSpec(body: Json, namespace: string): Attributes {
  const { resourceAttributes: resource, nonResourceAttributes: path } = body.spec ?? {};
  if (!resource === !path) {
    throw invalid(body.kind ?? "SelfSubjectAccessReview", "authorization.k8s.io", "", [
      {
        reason: "FieldValueInvalid",
        message: `Invalid value: ${resource ? "cannot be specified in combination with resourceAttributes" : "exactly one of nonResourceAttributes or resourceAttributes must be specified"}`,
        field: resource ? "spec.nonResourceAttributes" : "spec.resourceAttributes",
      },
    ]);
  }
  if (path) return { verb: path.verb ?? "", path: path.path ?? "" };
  return {
    verb: resource.verb ?? "",
    namespace: namespace || (resource.namespace ?? ""),
    group: resource.group ?? "",
    resource: resource.resource ?? "",
    subresource: resource.subresource ?? "",
    name: resource.name ?? "",
  };
}
