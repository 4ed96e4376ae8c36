import { type Rule, refuse } from "./obstacle.ts";

const MESH = /^(istio-proxy|linkerd-proxy|consul-dataplane|kuma-sidecar|aws-appmesh-envoy)$/;

/** Pods that have a sidecar already. */
export const mesh: Rule = ({ pods }) => {
  for (const { metadata, spec } of pods) {
    const sidecar = [...spec.containers, ...(spec.initContainers ?? [])].find(({ name }) => MESH.test(name));
    if (sidecar)
      return refuse(
        "mesh",
        `its pods are in a service mesh (container ${sidecar.name} of ${metadata.name}): callers speak to that sidecar in a way that the relay can't read`,
        "intercept a Service outside the mesh",
      );
  }
  return undefined;
};

/** What a namespace says by which a mesh puts a sidecar into its new pods, as the meshes' documentation has it. */
const INJECTORS: ReadonlyArray<readonly [mesh: string, where: "labels" | "annotations", key: string, value: RegExp]> = [
  ["Istio", "labels", "istio-injection", /^enabled$/],
  ["Istio", "labels", "istio.io/rev", /./],
  ["Linkerd", "annotations", "linkerd.io/inject", /^(enabled|ingress)$/],
  ["Kuma", "labels", "kuma.io/sidecar-injection", /^(enabled|true)$/],
  ["App Mesh", "labels", "appmesh.k8s.aws/sidecarInjectorWebhook", /^enabled$/],
];

/** A namespace whose new pods get a sidecar, though those of the Service have none. */
export const injection: Rule = ({ namespace }) => {
  const found = INJECTORS.find(([, where, key, value]) => value.test(namespace?.metadata[where]?.[key] ?? ""));
  return (
    found && {
      what: "mesh-injection",
      refused: false,
      sentence: `its namespace has ${found[0]} put a sidecar into new pods: the relay's pods say no to that, and are called in plain, as the Service's own pods are`,
    }
  );
};
