import type { Json } from "../../json.ts";
import { list } from "../kinds/strategy.ts";
import type { Admission, AdmissionRequest } from "./admission.ts";
import { type Amounts, formatAmount, parseAmount, podAmounts } from "./amounts.ts";
import { forbiddenBy } from "./refusal.ts";

const ANNOTATION = "kubernetes.io/limit-ranger";

const itemsOf = ({ store, object }: AdmissionRequest, type: string): Json[] =>
  store
    .list("limitranges", object.metadata.namespace)
    .flatMap((range) => list(range["spec"]?.limits))
    .filter((item) => item.type === type);

const containersOf = (spec: Json, kind: string): Json[] => list(spec[kind]);

/** LimitRanges: gives containers the requests and limits they don't say, and refuses what is out of range. */
export const limitRanger: Admission = {
  fill(request) {
    const { resource, object, old } = request;
    if (resource.key !== "pods" || old) return;
    const items = itemsOf(request, "Container");
    if (items.length === 0) return;
    const defaults = (kind: string): Record<string, string> => Object.assign({}, ...items.map((item) => item[kind]));
    const done: string[] = [];
    for (const [kind, what] of [
      ["containers", "container"],
      ["initContainers", "init container"],
    ] as const) {
      for (const container of containersOf(object.spec, kind)) {
        const set = (target: string, values: Record<string, string>): void => {
          const own = (container.resources ??= {})[target];
          const missing = Object.keys(values).filter((name) => own?.[name] === undefined);
          if (missing.length === 0) return;
          container.resources[target] = { ...Object.fromEntries(missing.map((name) => [name, values[name]])), ...own };
          done.push(`${missing.sort().join(", ")} ${target.slice(0, -1)} for ${what} ${container.name}`);
        };
        set("requests", defaults("defaultRequest"));
        set("limits", defaults("default"));
      }
    }
    if (done.length === 0) return;
    object.metadata.annotations = { ...object.metadata.annotations, [ANNOTATION]: `LimitRanger plugin set: ${done.join("; ")}` };
  },
  check(request) {
    const { resource, object, old } = request;
    const errors: string[] = [];
    if (resource.key === "pods" && !old) {
      const containers = [...containersOf(object.spec, "containers"), ...containersOf(object.spec, "initContainers")];
      for (const item of itemsOf(request, "Container")) {
        for (const { resources } of containers)
          errors.push(...outOfRange(item, amounts(resources?.requests), amounts(resources?.limits)));
      }
      for (const item of itemsOf(request, "Pod"))
        errors.push(...outOfRange(item, podAmounts(object.spec, "requests"), podAmounts(object.spec, "limits")));
    } else if (resource.key === "persistentvolumeclaims") {
      for (const item of itemsOf(request, "PersistentVolumeClaim")) {
        errors.push(...outOfRange({ ...item, max: undefined }, amounts(object.spec?.resources?.requests), new Map()));
        errors.push(...claimTooBig(item, amounts(object.spec?.resources?.requests)));
      }
    }
    const all = [...new Set(errors)];
    if (all.length > 0) throw forbiddenBy(resource, object, all.length === 1 ? all[0]! : `[${all.join(", ")}]`);
  },
};

const amounts = (values: Json): Amounts =>
  new Map(Object.entries<string>(values ?? {}).map(([name, text]) => [name, parseAmount(text)]));

/** What is wrong with requests and limits by one item of a LimitRange. */
function outOfRange({ type, min, max, maxLimitRequestRatio }: Json, requests: Amounts, limits: Amounts): string[] {
  const errors: string[] = [];
  for (const [name, bound] of amounts(min)) {
    const head = `minimum ${name} usage per ${type} is ${formatAmount(bound)}`;
    const [request, limit] = [requests.get(name), limits.get(name)];
    if (!request) errors.push(`${head}.  No request is specified`);
    else if (request.milli < bound.milli) errors.push(`${head}, but request is ${formatAmount(request)}`);
    else if (limit && limit.milli < bound.milli) errors.push(`${head}, but limit is ${formatAmount(limit)}`);
  }
  for (const [name, bound] of amounts(max)) {
    const head = `maximum ${name} usage per ${type} is ${formatAmount(bound)}`;
    const [request, limit] = [requests.get(name), limits.get(name)];
    if (!limit) errors.push(`${head}.  No limit is specified`);
    else if (limit.milli > bound.milli) errors.push(`${head}, but limit is ${formatAmount(limit)}`);
    else if (request && request.milli > bound.milli) errors.push(`${head}, but request is ${formatAmount(request)}`);
  }
  for (const [name, bound] of amounts(maxLimitRequestRatio)) {
    const head = `${name} max limit to request ratio per ${type} is ${formatAmount(bound)}`;
    const [request, limit] = [requests.get(name), limits.get(name)];
    if (!request || request.milli === 0n) errors.push(`${head}, but no request is specified or request is 0`);
    else if (!limit || limit.milli === 0n) errors.push(`${head}, but no limit is specified or limit is 0`);
    else if (limit.milli * 1000n > bound.milli * request.milli)
      errors.push(`${head}, but provided ratio is ${(Number(limit.milli) / Number(request.milli)).toFixed(6)}`);
  }
  return errors;
}

/** A claim has a request and no limit. */
function claimTooBig({ type, max }: Json, requests: Amounts): string[] {
  return [...amounts(max)].flatMap(([name, bound]) => {
    const request = requests.get(name);
    const head = `maximum ${name} usage per ${type} is ${formatAmount(bound)}`;
    if (!request) return [`${head}.  No request is specified`];
    return request.milli > bound.milli ? [`${head}, but request is ${formatAmount(request)}`] : [];
  });
}
