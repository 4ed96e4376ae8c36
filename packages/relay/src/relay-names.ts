import { createHash } from "node:crypto";

/** Names of Deployments are labels of their pods, whose names add 17 characters and must fit 63. */
const LONGEST_NAME = 46;

/** `shipside-PURPOSE-SUFFIX`: at most 46 characters, for any purpose; `unique` makes it differ from others of the same purpose. */
export function relayName(purpose: string, unique: string): string {
  const suffix = createHash("sha256").update(`${purpose} ${unique}`).digest("hex").slice(0, 8);
  const room = LONGEST_NAME - "shipside--".length - suffix.length;
  const slug = purpose
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, room)
    .replace(/^-+|-+$/g, "");
  return ["shipside", slug, suffix].filter(Boolean).join("-");
}

/**
 * Of a relay's ConfigMap and its Secret. Another one for each Deployment: a kubelet may still have those of an earlier one of the same name
 * at hand, and give them to the new pods.
 */
export const relayFilesName = ({ name, uid }: { name: string; uid: string }): string => `${name}-${uid.slice(0, 8)}`;

/** By this label the Deployment knows its pods, and a person what belongs together. */
export const RELAY_LABEL = "shipside.dev/relay";
/** On its pods, with the Deployment's uid: those of an earlier Deployment of the same name live on for a while, with another secret. */
export const RELAY_UID_LABEL = "shipside.dev/relay-uid";

/** The label selector of a relay's own pods. */
export const relayPodSelector = ({ name, uid }: { name: string; uid: string }): string =>
  `${RELAY_LABEL}=${name},${RELAY_UID_LABEL}=${uid}`;
/** Who brought it: `user@machine`. */
export const OWNER_ANNOTATION = "shipside.dev/owner";

export function labelsOf(name: string): Record<string, string> {
  return { "app.kubernetes.io/managed-by": "shipside", "app.kubernetes.io/component": "relay", [RELAY_LABEL]: name };
}
