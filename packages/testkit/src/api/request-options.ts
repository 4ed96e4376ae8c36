import { readBody } from "./body.ts";
import type { Call } from "./call.ts";
import type { WriteOptions } from "./registry.ts";
import { isTrue } from "./request-info.ts";
import { StatusError } from "./status.ts";

/** What the query says of how to write. Throws Status 422. */
export function writeOptions(call: Call): WriteOptions {
  return {
    user: call.user,
    dryRun: dryRun(call.query),
    manager: fieldManager(call),
    strictness: strictness(call.query),
    warn: (message) => call.response.appendHeader("warning", `299 - ${JSON.stringify(message)}`),
  };
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
export async function deleteOptions({ request, query }: Call): Promise<{
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
