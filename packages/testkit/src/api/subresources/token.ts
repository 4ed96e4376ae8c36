import type { Json } from "../../json.ts";
import type { KubeJson, Store } from "../../store.ts";
import { invalid, notFound, StatusError } from "../status.ts";
import { type Authenticator, ISSUER } from "../users.ts";

/** `serviceaccounts/token` (authentication.k8s.io/v1 TokenRequest). */
export function requestToken(store: Store, authenticator: Authenticator, account: KubeJson, body: Json): Json {
  const { audiences = [], expirationSeconds = 3600, boundObjectRef: bound } = body?.spec ?? {};
  if (expirationSeconds < 600) {
    throw invalid("TokenRequest", "authentication.k8s.io", "", [
      {
        reason: "FieldValueInvalid",
        message: `Invalid value: ${expirationSeconds}: may not specify a duration less than 10 minutes`,
        field: "spec.expirationSeconds",
      },
    ]);
  }
  const { namespace, name, uid } = account.metadata;
  if (bound) {
    const resource = bound.kind === "Pod" ? "pods" : bound.kind === "Secret" ? "secrets" : undefined;
    if (!resource)
      throw new StatusError(400, "BadRequest", `cannot bind token for serviceaccount "${name}" to an object of kind ${bound.kind}`);
    const object = store.get(resource, namespace, bound.name);
    if (!object) throw notFound(resource, bound.name);
    if (bound.uid && bound.uid !== object.metadata.uid) {
      throw new StatusError(
        409,
        "Conflict",
        `Operation cannot be fulfilled on ${resource} "${bound.name}": the UID in the bound object reference (${bound.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    }
    bound.uid = object.metadata.uid;
  }
  const { token, expires } = authenticator.issue({
    namespace: namespace!,
    serviceAccount: name,
    uid,
    audiences,
    lifetime: expirationSeconds,
    ...(bound && { bound }),
  });
  return {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { name, namespace, creationTimestamp: `${new Date().toISOString().slice(0, 19)}Z` },
    spec: { audiences: audiences.length > 0 ? audiences : [ISSUER], expirationSeconds, boundObjectRef: bound ?? null },
    status: { token, expirationTimestamp: `${expires.toISOString().slice(0, 19)}Z` },
  };
}
