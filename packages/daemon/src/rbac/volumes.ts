/** What a workload's volumes take: see the volumes package. Pure. */
import { parseReference } from "@shipside/kube";
import { execRules, NODES_RULE, ownerRules, workloadRules } from "./parts.ts";
import { relayRules } from "./relay.ts";
import type { Rule } from "./rule.ts";

export interface VolumesUse {
  namespace: string;
  workload: string;
  /** As `--driver`. */
  driver?: string | undefined;
}

/** Of a relay that has a claim. */
const ofClaims = (namespace: string): Rule[] => [
  ...relayRules({ namespace, replicas: 1 }),
  {
    ...{ namespace, group: "", resource: "persistentvolumeclaims", verbs: ["get"] },
    why: "whether the claim is bound, and who may mount it",
  },
  { namespace, group: "", resource: "pods", verbs: ["get"], why: "where the pod's volume is, and as whom it is used" },
  ...execRules(namespace, "as whom the container runs, where its spec doesn't say").map((rule) => ({
    ...rule,
    optional: "it is taken to be root",
  })),
  {
    ...{ namespace, group: "", resource: "namespaces", verbs: ["get"], names: [namespace] },
    why: "whether it forbids pods that run as root",
    optional: "that is told only when the relay is refused",
  },
];

/** What each driver of ours takes besides; a plugin's own says what it takes. */
const OF_DRIVER: Readonly<Record<string, (namespace: string) => Rule[]>> = {
  fuse: ofClaims,
  sshfs: ofClaims,
  sync: ofClaims,
  snapshot: (namespace) => execRules(namespace, "copies of volumes that only a pod has"),
};

const OF_AUTO = ["fuse", "snapshot"];

/** Without its right a volume is left out, and told; the others are there. */
export function volumesRules({ namespace, workload, driver = "auto" }: VolumesUse): Rule[] {
  const { type } = parseReference(workload);
  const left = "volumes that only a pod has are left out";
  const ofPod = "the pod: its volumes, and what only it knows";
  const rules: Rule[] = [
    ...workloadRules({ namespace, workload, follow: false }),
    ...["configmaps", "secrets"].flatMap((resource): Rule[] => [
      {
        ...{ namespace, group: "", resource, verbs: ["get"], why: `volumes from ${resource}` },
        optional: `volumes from ${resource} are left out`,
      },
      {
        ...{ namespace, group: "", resource, verbs: ["list", "watch"], why: `how ${resource} change` },
        optional: `volumes from ${resource} stay as they were`,
      },
    ]),
    {
      ...{ namespace, group: "", resource: "serviceaccounts/token", verbs: ["create"] },
      why: "tokens of the workload's service account",
      optional: "there are no tokens",
    },
    NODES_RULE,
    {
      ...{ group: "certificates.k8s.io", resource: "clustertrustbundles", verbs: ["get", "list", "watch"] },
      why: "projected trust bundles",
      optional: "they are left out",
    },
    {
      namespace,
      group: "",
      resource: "pods",
      verbs: ["watch"],
      why: "how a pod's labels change",
      optional: "they aren't followed",
    },
  ];
  if (type?.kind !== "Pod") {
    rules.push({ namespace, group: "", resource: "pods", verbs: ["list"], why: ofPod, optional: left });
    rules.push(...ownerRules(namespace, workload, left));
  }
  const drivers = driver === "auto" ? OF_AUTO : [driver];
  const ofDrivers = drivers.flatMap((name) => OF_DRIVER[name]?.(namespace) ?? []);
  return [...rules, ...ofDrivers.map((rule) => ({ optional: left, ...rule }))];
}
