import type { Json } from "../../json.ts";
import { list } from "../kinds/strategy.ts";
import { BUILT_IN } from "../resources.ts";
import type { Admission } from "./admission.ts";
import { type Amounts, formatAmount, parseAmount } from "./amounts.ts";
import { concerns, inScope, usageOf, usedOf } from "./quota-usage.ts";
import { forbiddenBy } from "./refusal.ts";

/** ResourceQuotas: refuses what would take a namespace over its limits, by what is there at that moment. */
export const resourceQuota: Admission = {
  check({ resource, object, old, store }) {
    const { namespace, uid } = object.metadata;
    if (!resource.namespaced || resource.key === "resourcequotas") return;
    const before = old ? usageOf(resource, old) : undefined;
    for (const quota of store.list("resourcequotas", namespace)) {
      const limits = Object.entries<string>(quota["spec"]?.hard ?? {}).filter(([name]) => concerns(name, resource));
      if (limits.length === 0 || !inScope(quota, resource, object)) continue;
      const { name } = quota.metadata;
      const missing = resource.key === "pods" && !old ? unsaid(object.spec, limits) : "";
      if (missing) throw forbiddenBy(resource, object, `failed quota: ${name}: must specify ${missing}`);
      const own = usageOf(resource, object);
      const grows = limits.filter(([limit]) => (own.get(limit)?.milli ?? 0n) > (before?.get(limit)?.milli ?? 0n));
      if (grows.length === 0) continue;
      const used = usedOf(store, BUILT_IN.includes(resource) ? BUILT_IN : [...BUILT_IN, resource], quota, uid);
      const hard: Amounts = new Map(limits.map(([limit, text]) => [limit, parseAmount(text)]));
      const exceeded = grows
        .map(([limit]) => limit)
        .filter((limit) => used.get(limit)!.milli + own.get(limit)!.milli > hard.get(limit)!.milli);
      if (exceeded.length === 0) continue;
      const show = (amounts: Amounts): string =>
        exceeded
          .sort()
          .map((limit) => `${limit}=${formatAmount(amounts.get(limit)!)}`)
          .join(",");
      throw forbiddenBy(
        resource,
        object,
        `exceeded quota: ${name}, requested: ${show(own)}, used: ${show(used)}, limited: ${show(hard)}`,
      );
    }
  },
};

/** Limited compute resources that a container doesn't name: a quota can't count what isn't said. */
function unsaid(spec: Json, limits: ReadonlyArray<[string, string]>): string {
  const containers = [...list(spec.containers), ...list(spec.initContainers)];
  const missing = limits.flatMap(([limit]) => {
    const [, kind = "requests", name = ""] = /^(?:(requests|limits)\.)?(cpu|memory)$/.exec(limit) ?? [];
    if (!name) return [];
    const names = containers.filter(({ resources }) => resources?.[kind]?.[name] === undefined).map((container) => container.name);
    return names.length > 0 ? [`${limit} for: ${[...new Set(names)].sort().join(",")}`] : [];
  });
  return missing.sort().join("; ");
}
