import type { ConfigMap, LabelSelector, Secret } from "@shipside/kube";
import type { ClusterTrustBundle, TrustBundleWish } from "./api-objects.ts";
import { fieldText, type PodFacts, type ResourceRef, resourceText } from "./downward.ts";
import { volumesError } from "./errors.ts";
import { fileModes } from "./file-modes.ts";
import { isVolumePath } from "./local-path.ts";
import type { Obstacle, PlannedMount } from "./plan.ts";
import { trustAnchors } from "./trust-anchors.ts";

export interface PayloadFile {
  data: Buffer;
  /** Permission bits. */
  mode: number;
}

/** A volume's files by their path inside it. */
export type Payload = ReadonlyMap<string, PayloadFile>;

export interface TokenWish {
  /** Default the API server's own. */
  audience?: string;
  expirationSeconds: number;
}

export interface PayloadInputs {
  facts: PodFacts;
  /** Undefined where it doesn't exist. */
  configMap(name: string): Promise<ConfigMap | undefined>;
  secret(name: string): Promise<Secret | undefined>;
  token(wish: TokenWish): Promise<string | Obstacle>;
  /** What a node has to give; undefined where that isn't told. */
  allocatable(node: string): Promise<PodFacts["allocatable"]>;
  trustBundles(wish: TrustBundleWish): Promise<readonly ClusterTrustBundle[] | Obstacle>;
}

export interface Rendered {
  files: Payload;
  /** What was left out, and why. */
  obstacles: Obstacle[];
}

interface Item {
  key: string;
  path: string;
  mode?: number;
}

interface Keys {
  name?: string;
  secretName?: string;
  optional?: boolean;
  items?: Item[];
}

interface DownwardItem {
  path: string;
  mode?: number;
  fieldRef?: { fieldPath: string };
  resourceFieldRef?: ResourceRef;
}

/** One source of a projected volume; a configMap, secret or downwardAPI volume is one by itself. */
interface Source {
  configMap?: Keys;
  secret?: Keys;
  downwardAPI?: { items?: DownwardItem[] };
  serviceAccountToken?: { path: string; audience?: string; expirationSeconds?: number };
  clusterTrustBundle?: TrustBundle;
}

interface TrustBundle {
  path: string;
  name?: string;
  signerName?: string;
  labelSelector?: LabelSelector;
  optional?: boolean;
}

const DEFAULT_MODE = 0o644;

/**
 * The files of a configMap, secret, downwardAPI or projected volume as the kubelet makes them. Throws `VOLUMES_REFERENCE_MISSING`,
 * `VOLUMES_FIELD_UNKNOWN`, `VOLUMES_PATH_UNSAFE`.
 */
export async function renderPayload({ kind, source, volume }: PlannedMount, inputs: PayloadInputs): Promise<Rendered> {
  const mode = (source["defaultMode"] as number | undefined) ?? DEFAULT_MODE;
  const sources: Source[] = kind === "projected" ? ((source["sources"] as Source[] | undefined) ?? []) : [{ [kind]: source }];
  const files = new Map<string, PayloadFile>();
  const obstacles: Obstacle[] = [];
  const modes = fileModes(inputs.facts.pod?.spec ?? inputs.facts.spec);
  const put = (path: string, data: Buffer, own: number | undefined): void => {
    if (!isVolumePath(path)) {
      throw volumesError("VOLUMES_PATH_UNSAFE", `volume ${volume} has a file ${JSON.stringify(path)}, which would lead out of it`);
    }
    files.set(path, { data, mode: modes.of((own ?? mode) & 0o777) });
  };
  for (const each of sources) {
    if (each.configMap) {
      const name = each.configMap.name ?? "";
      putKeys(put, `ConfigMap ${name}`, each.configMap, contentOf(await inputs.configMap(name)));
    } else if (each.secret) {
      const name = each.secret.secretName ?? each.secret.name ?? "";
      putKeys(put, `Secret ${name}`, each.secret, secretContent(await inputs.secret(name)));
    } else if (each.downwardAPI) {
      for (const { path, mode: own, fieldRef, resourceFieldRef } of each.downwardAPI.items ?? []) {
        const text = fieldRef
          ? fieldText(inputs.facts, fieldRef.fieldPath)
          : resourceFieldRef && (resourceText(inputs.facts, resourceFieldRef) ?? (await nodesText(inputs, resourceFieldRef)));
        if (text !== undefined) put(path, Buffer.from(text), own);
        else obstacles.push(needsPod(path, fieldRef?.fieldPath ?? resourceFieldRef?.resource, inputs.facts));
      }
    } else if (each.serviceAccountToken) {
      const { path, audience, expirationSeconds = 3_600 } = each.serviceAccountToken;
      const token = await inputs.token({ expirationSeconds, ...(audience && { audience }) });
      if (typeof token === "string") put(path, Buffer.from(token), modes.made);
      else obstacles.push(token);
    } else if (each.clusterTrustBundle) {
      const anchors = await anchorsOf(each.clusterTrustBundle, inputs);
      if (typeof anchors === "string") put(each.clusterTrustBundle.path, Buffer.from(anchors), modes.made);
      else obstacles.push(anchors);
    } else {
      const name = Object.keys(each)[0] ?? "nothing";
      obstacles.push({ code: "VOLUMES_KIND_UNSUPPORTED", message: `volume ${volume} projects ${name}, which can't be brought` });
    }
  }
  return { files, obstacles };
}

/** Undefined where the object doesn't exist. */
function contentOf(object: ConfigMap | undefined): Map<string, Buffer> | undefined {
  if (!object) return undefined;
  const binary = Object.entries(object.binaryData ?? {}).map(([key, text]) => [key, Buffer.from(text, "base64")] as const);
  return new Map([...Object.entries(object.data ?? {}).map(([key, text]) => [key, Buffer.from(text)] as const), ...binary]);
}

const secretContent = (object: Secret | undefined): Map<string, Buffer> | undefined =>
  object && new Map(Object.entries(object.data ?? {}).map(([key, text]) => [key, Buffer.from(text, "base64")]));

/** A limit that isn't set is what the node of a pod has. */
async function nodesText({ facts, allocatable }: PayloadInputs, ref: ResourceRef): Promise<string | undefined> {
  const node = facts.pod?.spec.nodeName;
  const found = node === undefined ? undefined : await allocatable(node);
  return found && resourceText({ ...facts, allocatable: found }, ref);
}

/** Without a labelSelector none fit, by an empty one all do (core/v1 ClusterTrustBundleProjection). */
async function anchorsOf(
  { path, name, signerName = "", labelSelector, optional }: TrustBundle,
  { trustBundles }: PayloadInputs,
): Promise<string | Obstacle> {
  const wish = name !== undefined ? { name } : labelSelector && { signerName, labelSelector };
  const found = wish ? await trustBundles(wish) : [];
  // Where no such kind is served there are none.
  if ("code" in found && !(optional && found.code === "KUBE_KIND_UNKNOWN"))
    return { ...found, message: `${path} is left out: ${found.message}` };
  const bundles = "code" in found ? [] : found;
  if (bundles.length === 0 && !optional)
    throw missing(
      name !== undefined ? `ClusterTrustBundle ${name}` : `a ClusterTrustBundle of ${signerName} that the selector fits`,
    );
  return trustAnchors(bundles.map(({ spec }) => spec.trustBundle));
}

function missing(which: string): Error {
  return volumesError("VOLUMES_REFERENCE_MISSING", `${which} does not exist, and the workload's volume needs it`, {
    hint: "a pod that mounts it would not start either: create it, or leave this volume out",
    details: { reference: which },
  });
}

function putKeys(
  put: (path: string, data: Buffer, mode: number | undefined) => void,
  what: string,
  { items, optional }: Keys,
  content: Map<string, Buffer> | undefined,
): void {
  if (!content && !optional) throw missing(what);
  // An empty list is none, as for the kubelet.
  if (!items?.length) {
    for (const [key, data] of content ?? []) put(key, data, undefined);
    return;
  }
  for (const { key, path, mode } of items) {
    const data = content?.get(key);
    if (data) put(path, data, mode);
    else if (!optional) throw missing(`the key ${key} of ${what}`);
  }
}

const needsPod = (path: string, field: string | undefined, { pod }: PodFacts): Obstacle => ({
  code: "VOLUMES_NEEDS_POD",
  message: pod
    ? `${path} is left out: ${field} isn't set, and what the node has to give isn't known`
    : `${path} is left out: only a running pod has ${field}`,
  hint: pod ? "allow this user to get nodes, or set the limit in the workload" : "mount again when one runs",
});
