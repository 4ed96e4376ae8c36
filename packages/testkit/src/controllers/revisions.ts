import { type Json, sameJson } from "../json.ts";
import type { KubeJson } from "../store.ts";
import type { Context } from "./context.ts";
import { claim, controllerReference } from "./owners.ts";
import { templateHash } from "./template-hash.ts";

const RESOURCE = "controllerrevisions.apps";
export const REVISION_LABEL = "controller-revision-hash";

/** A revision of a StatefulSet's or DaemonSet's template, as `kubectl rollout history` and `undo` read it. */
export interface Revisions {
  /** Of the template as it is now. */
  update: KubeJson;
  /** Oldest first; `update` is the last. */
  all: readonly KubeJson[];
}

/** The template that a revision holds. */
export const templateOf = (revision: KubeJson): Json => {
  const { $patch: _patch, ...template } = revision["data"].spec.template;
  return template;
};

/** Finds or makes the revision of the current template, and makes it the newest. Those beyond the limit go, if nothing `uses` them. */
export function syncRevisions(context: Context, owner: KubeJson, uses: ReadonlySet<string>): Revisions {
  const { store } = context;
  const { namespace, name } = owner.metadata;
  const labels = owner["spec"].template.metadata?.labels ?? {};
  const selector = { ...owner, spec: { selector: owner["spec"].selector } };
  const known = claim(context, selector, RESOURCE, []).sort((a, b) => a["revision"] - b["revision"]);
  const data = { spec: { template: { ...owner["spec"].template, $patch: "replace" } } };
  const latest = known.at(-1)?.["revision"] ?? 0;
  let update = known.findLast((revision) => sameJson(revision["data"], data));
  if (update && update["revision"] !== latest) {
    update = store.mutate(RESOURCE, namespace, update.metadata.name, (copy) => {
      copy["revision"] = latest + 1;
    })!;
  }
  for (let collisions = 0; !update; collisions++) {
    const hash = templateHash(owner["spec"].template, collisions);
    if (store.get(RESOURCE, namespace, `${name}-${hash}`)) continue;
    update = context.create(RESOURCE, namespace!, {
      apiVersion: "apps/v1",
      kind: "ControllerRevision",
      metadata: {
        name: `${name}-${hash}`,
        labels: { ...labels, "controller.kubernetes.io/hash": hash },
        ...(owner.metadata.annotations && { annotations: owner.metadata.annotations }),
        ownerReferences: [controllerReference(owner)],
      },
      data,
      revision: latest + 1,
    });
  }
  const current = update;
  const old = known.filter((revision) => revision.metadata.uid !== current.metadata.uid);
  const limit = owner["spec"].revisionHistoryLimit ?? 10;
  const spare = old.filter((revision) => !uses.has(revision.metadata.name));
  for (const { metadata } of spare.slice(0, Math.max(0, spare.length - limit))) context.remove(RESOURCE, namespace, metadata.name);
  return { update, all: [...old, update] };
}

/** The short hash in a revision's name, as a DaemonSet's pods carry it. */
export const hashOf = (revision: KubeJson): string => revision.metadata.labels!["controller.kubernetes.io/hash"]!;
