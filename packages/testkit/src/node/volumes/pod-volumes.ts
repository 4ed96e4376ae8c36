import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, normalize } from "node:path";
import type { KubeJson, Store } from "../../store.ts";
import { writeAtomically } from "./atomic-directory.ts";
import { claimDirectory } from "./claims.ts";
import { hasPayload, type PayloadInputs, volumePayload } from "./payload.ts";
import { TRUST_BUNDLES } from "./trust-bundles.ts";

export interface PodVolumes {
  /** Makes or brings up to date every volume. Rejects with the kubelet's `MountVolume.SetUp failed …` message. */
  setUp(): Promise<void>;
  /** Whether a change of this object may change a volume's files. */
  concerns(resource: string, name: string): boolean;
  /** What stands at a container's mount, made if it is a sub-path that doesn't exist. */
  source(mount: { name: string; subPath?: string }): { path: string; file: boolean; readOnly: boolean };
  file(volume: string, path: string): string | undefined;
  /** Removes what belongs to the pod; claims and host paths stay. */
  remove(): void;
}

/** Where projected token files are renewed from: after this share of their life. */
const TOKEN_RENEWAL = 0.8;

/** A pod's volumes as directories under `directory` (and wherever claims and host paths point). */
export function createPodVolumes(options: { pod: KubeJson; store: Store; directory: string; inputs: PayloadInputs }): PodVolumes {
  const { pod, store, directory, inputs } = options;
  const namespace = pod.metadata.namespace!;
  // biome-ignore lint/suspicious/noExplicitAny: volumes of every kind
  const volumes: any[] = pod["spec"].volumes ?? [];
  const paths = new Map<string, string>();
  const tokens = new Map<string, { token: string; renewAt: number }>();

  const withCachedTokens = (volume: string): PayloadInputs => ({
    ...inputs,
    async token(request) {
      const key = `${volume} ${request.audience ?? ""} ${request.expirationSeconds}`;
      const held = tokens.get(key);
      if (held && Date.now() < held.renewAt) return held.token;
      const token = await inputs.token(request);
      tokens.set(key, { token, renewAt: Date.now() + request.expirationSeconds * 1000 * TOKEN_RENEWAL });
      return token;
    },
  });

  // biome-ignore lint/suspicious/noExplicitAny: a volume of any kind
  const setUpOne = async (volume: any): Promise<string> => {
    const own = join(directory, volume.name);
    if (hasPayload(volume)) {
      writeAtomically(own, await volumePayload(volume, withCachedTokens(volume.name)));
      return own;
    }
    if (volume.hostPath) {
      if (["DirectoryOrCreate", "FileOrCreate"].includes(volume.hostPath.type))
        mkdirSync(volume.hostPath.path, { recursive: true });
      statSync(volume.hostPath.path);
      return volume.hostPath.path;
    }
    if (volume.persistentVolumeClaim) return claimDirectory(store, namespace, volume.persistentVolumeClaim.claimName);
    if (volume.ephemeral) return claimDirectory(store, namespace, `${pod.metadata.name}-${volume.name}`);
    const kind = Object.keys(volume).find((key) => key !== "name") ?? "emptyDir";
    if (kind !== "emptyDir") throw new Error(`this node has no driver for volumes of the kind ${kind}`);
    mkdirSync(own, { recursive: true, mode: 0o777 });
    return own;
  };

  return {
    async setUp() {
      for (const volume of volumes) {
        // It stays where it is; and to look at one that stands still is to wait for it.
        if (paths.has(volume.name) && !hasPayload(volume)) continue;
        try {
          paths.set(volume.name, await setUpOne(volume));
        } catch (error) {
          throw new Error(`MountVolume.SetUp failed for volume "${volume.name}" : ${(error as Error).message}`, { cause: error });
        }
      }
    },
    concerns(resource, name) {
      if (resource === TRUST_BUNDLES)
        return volumes.some(({ projected }) => (projected?.sources ?? []).some((source: object) => "clusterTrustBundle" in source));
      const kind = resource === "configmaps" ? "configMap" : resource === "secrets" ? "secret" : undefined;
      if (!kind) return false;
      return volumes.some((volume) =>
        [volume, ...(volume.projected?.sources ?? [])].some((source) => (source[kind]?.secretName ?? source[kind]?.name) === name),
      );
    },
    source({ name, subPath }) {
      const volume = volumes.find((v) => v.name === name);
      const root = paths.get(name);
      if (!volume || root === undefined) throw new Error(`volume "${name}" is not mounted`);
      const path = subPath ? join(root, subPath) : root;
      if (subPath && normalize(subPath).startsWith("..")) throw new Error(`subPath "${subPath}" leads out of the volume`);
      if (subPath) ensureDirectory(path);
      const readOnly = hasPayload(volume) || volume.persistentVolumeClaim?.readOnly === true;
      return { path, file: !statSync(path).isDirectory(), readOnly };
    },
    file(volume, path) {
      try {
        return readFileSync(join(paths.get(volume)!, normalize(`/${path}`)), "utf8");
      } catch {
        return undefined;
      }
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** The kubelet makes a missing sub-path a directory, and takes a file as it is. */
function ensureDirectory(path: string): void {
  try {
    statSync(path);
  } catch {
    mkdirSync(path, { recursive: true });
  }
}
