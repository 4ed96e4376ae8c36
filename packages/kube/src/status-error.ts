import type { IncomingHttpHeaders } from "node:http";
import { type KubeErrorCode, kubeError } from "./errors.ts";
import { type Action, missingRule, parseRefusal } from "./forbidden.ts";

/** `Status` of meta/v1, as far as we read it. */
export interface Status {
  kind?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: {
    name?: string;
    kind?: string;
    group?: string;
    causes?: Array<{ reason?: string; message?: string; field?: string }>;
    retryAfterSeconds?: number;
  };
}

export interface Refusal {
  status: number;
  headers: IncomingHttpHeaders;
  /** The body as text; a `Status` where the API server itself answered. */
  body: string;
  action: Action;
  server: string;
}

/** An HTTP answer that isn't success as an error with one of our codes. `details.status` is the HTTP code. */
export function statusError({ status, headers, body, action, server }: Refusal): Error {
  const parsed = parseStatus(body);
  const what = describe(action);
  const said = parsed?.message ?? brief(body);
  const details: Record<string, unknown> = {
    status,
    ...(parsed?.reason && { reason: parsed.reason }),
    ...(parsed?.details?.causes && { causes: parsed.details.causes }),
  };
  const make = (code: KubeErrorCode, hint?: string, more: Record<string, unknown> = {}, message?: string): Error =>
    kubeError(code, message ?? `could not ${what}: ${said || `HTTP ${status}`}`, {
      ...(hint && { hint }),
      details: { ...details, ...more },
    });

  switch (status) {
    case 401:
      return make(
        "KUBE_UNAUTHORIZED",
        "the credentials have expired or are not this cluster's: log in again",
        {},
        `could not ${what}: ${server} does not accept the credentials`,
      );
    case 403: {
      const refusal = parseRefusal(said, action);
      if (refusal === undefined) {
        const anonymous = /system:anonymous/.test(said);
        return make(
          "KUBE_FORBIDDEN",
          anonymous ? "no credentials were sent: log in" : "a policy of the cluster refuses it; its administrators can tell more",
        );
      }
      const { user, verb } = refusal;
      const missing = missingRule({ ...action, verb });
      const place = missing.namespace === undefined ? "a ClusterRole" : `a Role in namespace ${missing.namespace}`;
      return make(
        "KUBE_FORBIDDEN",
        `ask for this rule in ${place}:\n${missing.rule}`,
        { ...missing, ...(user !== undefined && { user }) },
        `${user === undefined ? "this user" : `user "${user}"`} may not ${what} (verb ${missing.verb} on ${missing.resource})`,
      );
    }
    case 404:
      // For a kind that is served the answer names the object; "404 page not found" is the router's.
      if (action.name !== undefined && parsed?.details?.name) {
        const place = action.namespace === undefined ? "" : ` -n ${action.namespace}`;
        // The server names the object once more, and nothing else.
        const plain = said.endsWith(`${JSON.stringify(action.name)} not found`);
        const message = plain ? `could not ${what}: there is none of that name` : undefined;
        return make("KUBE_NOT_FOUND", `\`kubectl get ${action.type.plural}${place}\` lists those there are`, {}, message);
      }
      if (parsed?.reason === "NotFound" && parsed.details?.kind === "namespaces") return make("KUBE_NOT_FOUND");
      return make(
        "KUBE_KIND_UNKNOWN",
        `kubectl api-resources lists what ${server} serves`,
        {},
        `could not ${what}: ${server} does not serve ${action.type.plural}${action.type.group && `.${action.type.group}`}`,
      );
    case 409:
      return make("KUBE_CONFLICT");
    case 410:
      return make("KUBE_GONE");
    case 429: {
      const after = retryAfterMs(headers, parsed);
      return make(
        "KUBE_THROTTLED",
        "the API server is overloaded or limits this user: try again later",
        after === undefined ? {} : { retryAfterMs: after },
      );
    }
    default: {
      if (status >= 500) {
        const after = retryAfterMs(headers, parsed);
        return make("KUBE_SERVER_ERROR", undefined, after === undefined ? {} : { retryAfterMs: after });
      }
      if (status >= 300 && status < 400) {
        return make(
          "KUBE_SERVER_ERROR",
          "a proxy or a login page seems to answer in the API server's place",
          {},
          `could not ${what}: ${server} redirects to ${brief(String(headers["location"] ?? "another place"))}`,
        );
      }
      return make("KUBE_INVALID");
    }
  }
}

/** From the header (seconds or a date, RFC 9110 §10.2.3) or the Status. */
function retryAfterMs(headers: IncomingHttpHeaders, status: Status | undefined): number | undefined {
  const header = headers["retry-after"];
  if (header !== undefined) {
    const seconds = Number(header);
    const ms = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1000;
    if (!Number.isNaN(ms)) return Math.max(0, ms);
  }
  const seconds = status?.details?.retryAfterSeconds;
  return seconds === undefined ? undefined : seconds * 1000;
}

/** "list pods in namespace shop", "create pods/exec of shop/api-0". */
export function describe({ verb, type, namespace, name, subresource }: Action): string {
  const resource = `${type.plural}${type.group && `.${type.group}`}${subresource ? `/${subresource}` : ""}`;
  const place = type.namespaced ? (namespace === undefined ? " in all namespaces" : ` in namespace ${namespace}`) : "";
  return name === undefined ? `${verb} ${resource}${place}` : `${verb} ${resource} "${name}"${place}`;
}

function parseStatus(body: string): Status | undefined {
  if (!body.trimStart().startsWith("{")) return undefined;
  try {
    const status = JSON.parse(body) as Status;
    return status.kind === "Status" ? status : undefined;
  } catch {
    return undefined;
  }
}

/** One line of what may be a page of HTML. */
function brief(text: string): string {
  const line = text
    .replace(/<(script|style)[\s\S]*?<\/\1>/gi, " ")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .trim();
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}
