import type { ObjectMeta } from "@shipside/kube";

/** A program that writes the Service by itself, and may so put the selector back while it is intercepted. */
export interface Owner {
  tool: "Argo CD" | "Flux" | "Helm" | "other";
  /** The application, kustomization, release, or field manager. */
  name: string;
  /** What will happen, in one sentence. */
  sentence: string;
}

/** metadata.managedFields, as far as it is looked at. */
type Managed = ObjectMeta & { managedFields?: ReadonlyArray<{ manager?: string; operation?: string; fieldsV1?: object }> };

const RENEWED = "the intercept is switched on again each time, and ends when it is put back a third time within a minute";

/** Managers that people use, or that write nothing but what people asked for. */
const HUMAN = /^(kubectl|shipside|kube-|k9s|lens|node-fetch|Mozilla|openapi|okhttp|python|helm$|Helm$)/i;

/** Who else takes care of a Service, by labels, annotations and field managers. */
export function findOwners(metadata: Managed): Owner[] {
  const { labels = {}, annotations = {}, managedFields = [] } = metadata;
  const managers = managedFields.map(({ manager = "" }) => manager);
  const owners: Owner[] = [];

  const tracking = annotations["argocd.argoproj.io/tracking-id"]?.split(":")[0];
  const argo = tracking ?? labels["argocd.argoproj.io/instance"];
  if (argo !== undefined || managers.some((manager) => /^argocd/.test(manager))) {
    const name = argo ?? labels["app.kubernetes.io/instance"] ?? "unknown";
    owners.push({
      tool: "Argo CD",
      name,
      sentence: `Argo CD (application ${name}) will show this Service as out of sync; with self-heal it puts the selector back, and ${RENEWED}`,
    });
  }

  const flux = labels["kustomize.toolkit.fluxcd.io/name"] ?? labels["helm.toolkit.fluxcd.io/name"];
  const paused = annotations["kustomize.toolkit.fluxcd.io/reconcile"] === "disabled";
  if ((flux !== undefined || managers.some((manager) => /^(kustomize|helm)-controller$/.test(manager))) && !paused) {
    const name = flux ?? "unknown";
    owners.push({
      tool: "Flux",
      name,
      sentence: `Flux (${name}) puts the selector back at its next reconciliation; ${RENEWED} (\`flux suspend\` holds it off)`,
    });
  }

  const release = annotations["meta.helm.sh/release-name"];
  if (release !== undefined || (labels["app.kubernetes.io/managed-by"] === "Helm" && flux === undefined && argo === undefined)) {
    const name = release ?? labels["app.kubernetes.io/instance"] ?? "unknown";
    owners.push({
      tool: "Helm",
      name,
      sentence: `a \`helm upgrade\` of release ${name} during the intercept may put the selector back; ${RENEWED}`,
    });
  }

  const known = /^(argocd|kustomize-controller|helm-controller)/;
  const others = managedFields.filter(
    ({ manager = "", operation, fieldsV1 }) =>
      operation === "Apply" && !HUMAN.test(manager) && !known.test(manager) && ownsSelector(fieldsV1),
  );
  for (const name of new Set(others.map(({ manager = "" }) => manager))) {
    owners.push({ tool: "other", name, sentence: `${name} writes this Service's selector and may put it back; ${RENEWED}` });
  }
  return owners;
}

/** In the form of `fieldsV1`: each field as a key `f:name`. */
const ownsSelector = (fields: object | undefined): boolean =>
  "f:selector" in ((fields as Record<string, object> | undefined)?.["f:spec"] ?? {});
