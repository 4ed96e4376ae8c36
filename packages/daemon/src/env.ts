/** What a workload's env is read, told and compared with, where no session is needed: for a process that only wants to know. */
import { createCloser } from "@shipside/core";
import { type CollectOptions, collectEnv, type EnvCollection, watchEnv } from "@shipside/envexport";
import { type ClusterInfo, connectCluster } from "@shipside/kube";

export {
  type CollectOptions,
  diffEnv,
  diffRows,
  type EnvCollection,
  type EnvDiff,
  explain,
  formatNamed,
  isSame,
  readEnvFile,
  redact,
  renderDiff,
  renderExplain,
  selectEntries,
  shellEntries,
} from "@shipside/envexport";

export interface ReadEnvOptions extends CollectOptions {
  kubeconfig?: string;
  context?: string;
  /** Where it is read, before anything is asked of the cluster. */
  onConnected?: (where: ClusterInfo) => void;
}

const connectTo = async ({ kubeconfig, context, namespace, signal, onConnected }: ReadEnvOptions) => {
  const cluster = await connectCluster({
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    ...(namespace !== undefined && { namespace }),
    ...(signal && { signal }),
  });
  onConnected?.({ ...cluster.info, namespace: namespace ?? cluster.info.namespace });
  return cluster;
};

/** A workload's env as it is now. Rejects with `KUBE_…` and `ENV_…`. */
export async function readEnv(options: ReadEnvOptions): Promise<EnvCollection> {
  await using cluster = await connectTo(options);
  const { kubeconfig: _kubeconfig, context: _context, onConnected: _onConnected, ...collect } = options;
  return await collectEnv(cluster, collect);
}

export type FollowEnvOptions = ReadEnvOptions & Pick<Parameters<typeof watchEnv>[1], "onChange" | "onError">;

/** The same, followed until it is closed. */
export async function followEnv(options: FollowEnvOptions): Promise<{ current: EnvCollection } & AsyncDisposable> {
  const closer = createCloser();
  try {
    const cluster = closer.use(await connectTo(options));
    const { kubeconfig: _kubeconfig, context: _context, onConnected: _onConnected, ...collect } = options;
    const watch = closer.use(await watchEnv(cluster, collect));
    return {
      get current() {
        return watch.current;
      },
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close();
    throw error;
  }
}
