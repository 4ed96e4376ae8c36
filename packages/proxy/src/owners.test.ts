import { expect, test } from "vitest";
import { findOwners } from "./owners.ts";

const selector = { "f:spec": { "f:selector": {} } };
const tools = (metadata: Partial<Parameters<typeof findOwners>[0]>) =>
  findOwners({ name: "core", ...metadata }).map(({ tool, name }) => `${tool}: ${name}`);

test("nobody, where people made it by hand", () => {
  expect(tools({})).toEqual([]);
  expect(
    tools({
      labels: { "app.kubernetes.io/managed-by": "kustomize", "app.kubernetes.io/instance": "shop" },
      managedFields: [
        { manager: "kubectl", operation: "Apply", fieldsV1: selector },
        { manager: "kubectl-client-side-apply", operation: "Update", fieldsV1: selector },
        { manager: "kube-controller-manager", operation: "Apply", fieldsV1: selector },
      ],
    }),
  ).toEqual([]);
});

test.each([
  [{ annotations: { "argocd.argoproj.io/tracking-id": "shop:/Service:default/core" } }, "Argo CD: shop"],
  [{ labels: { "argocd.argoproj.io/instance": "shop" } }, "Argo CD: shop"],
  [
    { labels: { "app.kubernetes.io/instance": "shop" }, managedFields: [{ manager: "argocd-controller", operation: "Apply" }] },
    "Argo CD: shop",
  ],
  [{ labels: { "kustomize.toolkit.fluxcd.io/name": "apps" } }, "Flux: apps"],
  [{ labels: { "helm.toolkit.fluxcd.io/name": "apps", "app.kubernetes.io/managed-by": "Helm" } }, "Flux: apps"],
  [{ managedFields: [{ manager: "kustomize-controller", operation: "Apply" }] }, "Flux: unknown"],
  [{ annotations: { "meta.helm.sh/release-name": "web" }, labels: { "app.kubernetes.io/managed-by": "Helm" } }, "Helm: web"],
  [{ labels: { "app.kubernetes.io/managed-by": "Helm" } }, "Helm: unknown"],
  [{ managedFields: [{ manager: "my-operator", operation: "Apply", fieldsV1: selector }] }, "other: my-operator"],
])("%j", (metadata, found) => {
  expect(tools(metadata)).toEqual([found]);
});

test("one that doesn't write the selector, or is paused, is no owner", () => {
  expect(tools({ managedFields: [{ manager: "my-operator", operation: "Apply", fieldsV1: { "f:metadata": {} } }] })).toEqual([]);
  expect(
    tools({
      labels: { "kustomize.toolkit.fluxcd.io/name": "apps" },
      annotations: { "kustomize.toolkit.fluxcd.io/reconcile": "disabled" },
    }),
  ).toEqual([]);
});

test("each says what will happen", () => {
  const [argo] = findOwners({ name: "core", labels: { "argocd.argoproj.io/instance": "shop" } });
  expect(argo!.sentence).toBe(
    "Argo CD (application shop) will show this Service as out of sync; with self-heal it puts the selector back, and the intercept is switched on again each time, and ends when it is put back a third time within a minute",
  );
});
