import { parseQuantity } from "@shipside/core";
import { type Rule, refuse } from "./obstacle.ts";

/** ResourceQuotas without room for the relay's pods. */
export const quota: Rule = ({ quotas, relay: { replicas, requests, limits } }) => {
  const needed: Record<string, readonly [each: string, also: readonly string[]]> = {
    pods: ["1", ["count/pods"]],
    "requests.cpu": [requests.cpu, ["cpu"]],
    "requests.memory": [requests.memory, ["memory"]],
    "limits.cpu": [limits.cpu, []],
    "limits.memory": [limits.memory, []],
  };
  for (const { metadata, spec, status } of quotas) {
    // Quotas of some pods only (by priority and so on) may not be about these.
    if (spec?.scopes?.length || spec?.scopeSelector) continue;
    for (const [key, [each, also]] of Object.entries(needed)) {
      const name = [key, ...also].find((known) => status?.hard?.[known] !== undefined);
      if (name === undefined) continue;
      const sum = quantity(status?.used?.[name] ?? "0") + replicas * quantity(each);
      // A sum of decimal fractions may miss by a hair.
      if (sum > quantity(status!.hard![name]!) * (1 + 1e-9))
        return refuse(
          "quota",
          `ResourceQuota ${metadata.name} has no room for the relay: ${replicas} pods need ${replicas > 1 ? `${replicas} × ` : ""}${each} of ${name}, and ${status?.used?.[name] ?? 0} of ${status!.hard![name]} are used`,
          "free some, or have the quota raised",
        );
    }
  }
  return undefined;
};

/** LimitRanges that the relay's pods aren't within. */
export const limitRange: Rule = ({ limits: ranges, relay: { requests, limits } }) => {
  for (const { metadata, spec } of ranges) {
    for (const { type, min = {}, max = {} } of spec.limits) {
      if (type !== "Container" && type !== "Pod") continue;
      for (const name of ["cpu", "memory"] as const) {
        const low = min[name] !== undefined && quantity(requests[name]) < quantity(min[name]);
        const high = max[name] !== undefined && quantity(limits[name]) > quantity(max[name]);
        if (!low && !high) continue;
        const wants = low ? `at least ${min[name]}` : `at most ${max[name]}`;
        return refuse(
          "limit-range",
          `LimitRange ${metadata.name} wants ${wants} ${name} for a ${type.toLowerCase()}, and the relay has ${low ? requests[name] : limits[name]}`,
          "intercept in a namespace without that limit",
        );
      }
    }
  }
  return undefined;
};

/** One that can't be read is no limit. */
const quantity = (text: string): number => parseQuantity(text) ?? Number.NaN;
