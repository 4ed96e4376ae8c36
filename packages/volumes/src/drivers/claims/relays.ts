import type { Logger } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { type ClusterRelay, clusterRelay, type MakeObject, type RelayFiles, type RelaySpec } from "@shipside/relay";

/** Whose relays they are, and how they are deployed. */
export interface SharedRelaysOptions
  extends Pick<RelaySpec, "owner" | "image" | "resources" | "imagePullSecrets" | "graceSeconds"> {
  /** Left open. */
  cluster: Cluster;
  /** Makes a relay's Deployment: see `DeployOptions.make` of @shipside/relay. */
  make?: MakeObject;
}

/** One relay for all that is mounted of one claim in one way. */
export function sharedRelays({ cluster, owner, image, resources, imagePullSecrets, graceSeconds, make }: SharedRelaysOptions) {
  const shared = new Map<string, { relay: ClusterRelay; uses: number }>();
  return {
    take(namespace: string, files: RelayFiles, logger: Logger): Pick<ClusterRelay, "link" | "close"> {
      const key = JSON.stringify([namespace, files]);
      let entry = shared.get(key);
      if (!entry) {
        const relay = clusterRelay({
          ...{ cluster, namespace, owner, files, logger },
          ...(image !== undefined && { image }),
          ...(resources && { resources }),
          ...(imagePullSecrets && { imagePullSecrets }),
          ...(graceSeconds !== undefined && { graceSeconds }),
          ...(make && { make }),
        });
        entry = { relay, uses: 0 };
        shared.set(key, entry);
      }
      const mine = entry;
      mine.uses++;
      const release = async (): Promise<void> => {
        if (--mine.uses > 0) return;
        shared.delete(key);
        await mine.relay.close();
      };
      let closed: Promise<void> | undefined;
      return {
        link: (signal) => mine.relay.link(signal),
        close: () => (closed ??= release()),
      };
    },
  };
}
