import { formatAmount } from "../api/admission/amounts.ts";
import { concerns, usedOf } from "../api/admission/quota-usage.ts";
import { sameJson } from "../json.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";

const RESOURCE = "resourcequotas";

/** Says in a ResourceQuota's status what its namespace uses. */
export function resourceQuotaController(context: Context): Controller {
  const { store, registry } = context;
  return {
    name: "resourcequota",
    observe({ resource: key, object }, add) {
      if (key === RESOURCE) add(keyOf(object));
      for (const quota of store.list(RESOURCE, object.metadata.namespace)) {
        const names = Object.keys(quota["spec"]?.hard ?? {});
        if (names.some((name) => concerns(name, { key, plural: key.split(".")[0]! }))) add(keyOf(quota));
      }
    },
    reconcile(key) {
      const { namespace, name } = splitKey(key);
      const quota = store.get(RESOURCE, namespace, name);
      if (!quota) return;
      const used = usedOf(store, registry.resources(), quota);
      const status = {
        hard: quota["spec"]?.hard ?? {},
        used: Object.fromEntries([...used].map(([limit, amount]) => [limit, formatAmount(amount)])),
      };
      if (!sameJson(quota["status"], status)) context.setStatus(RESOURCE, quota, status);
    },
  };
}
