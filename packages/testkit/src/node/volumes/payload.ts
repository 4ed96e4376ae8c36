import type { KubeJson } from "../../store.ts";
import { fieldValue, type PodFacts, resourceValue } from "../env/downward.ts";
import { trustAnchors } from "./trust-bundles.ts";

/** A file of a volume that is made from the API. */
export interface PayloadFile {
  data: Buffer;
  mode: number;
}

export type Payload = Map<string, PayloadFile>;

export interface PayloadInputs {
  facts: PodFacts;
  configMap(name: string): KubeJson | undefined;
  secret(name: string): KubeJson | undefined;
  /** All there are. */
  trustBundles(): readonly KubeJson[];
  /** A service account token for the pod. */
  token(request: { audience?: string; expirationSeconds: number }): Promise<string>;
}

const DEFAULT_MODE = 0o644;

// biome-ignore lint/suspicious/noExplicitAny: a volume, or one source of a projected volume
type Source = any;

/** Whether a volume's files come from API objects, and so are kept current. */
export const hasPayload = (volume: Source): boolean =>
  Boolean(volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected);

/** The files of a configMap, secret, downwardAPI or projected volume. Throws the kubelet's message where something is missing. */
export async function volumePayload(volume: Source, inputs: PayloadInputs): Promise<Payload> {
  const files: Payload = new Map();
  if (volume.projected) {
    const mode = volume.projected.defaultMode ?? DEFAULT_MODE;
    for (const source of volume.projected.sources ?? []) await addSource(files, source, mode, inputs);
  } else {
    const source = volume.configMap ?? volume.secret ?? volume.downwardAPI;
    await addSource(files, volume, source.defaultMode ?? DEFAULT_MODE, inputs);
  }
  if (hasGroup(inputs)) for (const file of files.values()) file.mode |= 0o440;
  return files;
}

// biome-ignore lint/suspicious/noExplicitAny: a pod or a container
const securityContext = (of: any): { runAsUser?: number; fsGroup?: number } => of.securityContext ?? {};

const hasGroup = ({ facts: { pod } }: PayloadInputs): boolean => securityContext(pod["spec"]).fsGroup !== undefined;

/** Whether all containers are said to run as the same user: then what the kubelet makes itself is that one's alone. */
function hasOneUser({ facts: { pod } }: PayloadInputs): boolean {
  const { spec } = pod;
  const { runAsUser } = securityContext(spec);
  const users = [...(spec.initContainers ?? []), ...spec.containers].map((each) => securityContext(each).runAsUser ?? runAsUser);
  return users[0] !== undefined && users.every((user) => user === users[0]);
}

/** Of what the kubelet makes itself. */
const madeMode = (mode: number, inputs: PayloadInputs): number => (hasOneUser(inputs) || hasGroup(inputs) ? 0o600 : mode);

async function addSource(files: Payload, source: Source, mode: number, inputs: PayloadInputs): Promise<void> {
  if (source.configMap) {
    const { name, optional, items } = source.configMap;
    const object = inputs.configMap(name);
    if (!object && !optional) throw new Error(`configmap "${name}" not found`);
    const data = new Map<string, Buffer>();
    for (const [key, text] of Object.entries<string>(object?.["data"] ?? {})) data.set(key, Buffer.from(text));
    for (const [key, base64] of Object.entries<string>(object?.["binaryData"] ?? {})) data.set(key, Buffer.from(base64, "base64"));
    addKeys(files, data, items, mode, optional, "configmap");
  } else if (source.secret) {
    const name = source.secret.secretName ?? source.secret.name;
    const { optional, items } = source.secret;
    const object = inputs.secret(name);
    if (!object && !optional) throw new Error(`secret "${name}" not found`);
    const data = new Map(
      Object.entries<string>(object?.["data"] ?? {}).map(([key, base64]) => [key, Buffer.from(base64, "base64")]),
    );
    addKeys(files, data, items, mode, optional, "secret");
  } else if (source.downwardAPI) {
    for (const item of source.downwardAPI.items ?? []) {
      const value = item.fieldRef
        ? fieldValue(inputs.facts, item.fieldRef.fieldPath)
        : resourceValue(inputs.facts, item.resourceFieldRef.containerName, item.resourceFieldRef);
      files.set(item.path, { data: Buffer.from(value), mode: item.mode ?? mode });
    }
  } else if (source.serviceAccountToken) {
    const { path, audience, expirationSeconds = 3600 } = source.serviceAccountToken;
    const token = await inputs.token({ ...(audience && { audience }), expirationSeconds });
    files.set(path, { data: Buffer.from(token), mode: madeMode(mode, inputs) });
  } else if (source.clusterTrustBundle) {
    const data = Buffer.from(trustAnchors(source.clusterTrustBundle, inputs.trustBundles()));
    files.set(source.clusterTrustBundle.path, { data, mode: madeMode(mode, inputs) });
  }
}

function addKeys(
  files: Payload,
  data: ReadonlyMap<string, Buffer>,
  items: Array<{ key: string; path: string; mode?: number }> | undefined,
  mode: number,
  optional: boolean | undefined,
  kind: string,
): void {
  if (!items) {
    for (const [key, value] of data) files.set(key, { data: value, mode });
    return;
  }
  for (const item of items) {
    const value = data.get(item.key);
    if (value) files.set(item.path, { data: value, mode: item.mode ?? mode });
    else if (!optional) throw new Error(`${kind} references non-existent config key: ${item.key}`);
  }
}
