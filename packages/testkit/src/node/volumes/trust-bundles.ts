import { labelSelectorRequirements, matchesLabels } from "../../api/selectors.ts";
import type { KubeJson } from "../../store.ts";

/** The store's name of them. */
export const TRUST_BUNDLES = "clustertrustbundles.certificates.k8s.io";

export interface TrustBundleSource {
  path: string;
  name?: string;
  signerName?: string;
  labelSelector?: Parameters<typeof labelSelectorRequirements>[0];
  optional?: boolean;
}

const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n?/g;

/** The file of a projected clusterTrustBundle: each certificate once (KEP-3257). Throws the kubelet's message where there is none. */
export function trustAnchors(source: TrustBundleSource, all: readonly KubeJson[]): string {
  const { name, signerName, optional } = source;
  const wanted = labelSelectorRequirements(source.labelSelector);
  const found = all.filter(({ metadata, spec }: KubeJson & { spec?: { signerName?: string } }) =>
    name !== undefined
      ? metadata.name === name
      : spec?.signerName === signerName && wanted !== undefined && matchesLabels(wanted, metadata.labels),
  );
  if (found.length === 0 && !optional) {
    throw new Error(
      name !== undefined
        ? `while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "${name}" not found`
        : "combination of signerName and labelSelector matched zero ClusterTrustBundles",
    );
  }
  const blocks = found.flatMap((bundle) => String(bundle["spec"].trustBundle).match(BLOCK) ?? []);
  return [...new Set(blocks.map((block) => `${block.trimEnd()}\n`))].join("");
}
