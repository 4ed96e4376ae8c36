import { hasCode, type PodRef } from "@shipside/core";
import type { Cluster, Container, Pod, PodSpec } from "@shipside/kube";
import { decodeText, type Environ, parseEnviron } from "./environ.ts";
import { envError } from "./errors.ts";

export interface RunningEnv extends Environ {
  /**
   * Whose it is. `process`: the container's first process, with what an entrypoint script changed before it became the program.
   * `runtime`: what the runtime gives to each process of the container, where the first one's can't be seen.
   */
  of: "process" | "runtime";
}

/**
 * The environment that a container really has, by exec. Rejects with `ENV_RUNNING_UNREADABLE` where the container doesn't run or has
 * no program to ask, and with `KUBE_FORBIDDEN` for the right to `create` `pods/exec`.
 */
export async function readRunning(
  cluster: Cluster,
  { metadata, spec }: Pod,
  container: string,
  signal: AbortSignal,
): Promise<RunningEnv> {
  const pod: PodRef = { namespace: metadata.namespace ?? cluster.info.namespace, name: metadata.name };
  const failures: unknown[] = [];
  const ask = async (...command: string[]): Promise<Environ | undefined> => {
    const bytes = await run(cluster, pod, container, command, signal, failures);
    return bytes && parseEnviron(bytes);
  };
  const [first, any] = await Promise.all([
    sharesProcesses(spec) ? undefined : ask("cat", "/proc/1/environ"),
    ask("cat", "/proc/self/environ"),
  ]);
  const own = any ?? (await ask("env", "-0")) ?? (await ask("printenv", "-0"));
  if (own) return belongsTogether(first, own) ? { ...first, of: "process" } : { ...own, of: "runtime" };
  throw envError(
    "ENV_RUNNING_UNREADABLE",
    `the environment of container ${container} in pod ${pod.namespace}/${pod.name} can't be read: it runs none of cat, env, printenv`,
    {
      cause: new AggregateError(failures, "each way failed"),
      hint: "does the container run? An image without any tools (distroless) can't tell: take what the spec says (--from spec)",
      details: { ...pod, container },
    },
  );
}

/** A file of one of the pod's volumes, through any container that mounts the volume whole and has `cat`. */
export async function readVolumeFile(
  cluster: Cluster,
  { metadata, spec }: Pod,
  file: { volume: string; path: string },
  signal: AbortSignal,
): Promise<string | undefined> {
  const pod: PodRef = { namespace: metadata.namespace ?? cluster.info.namespace, name: metadata.name };
  for (const { name, mount } of mountsOf(spec, file.volume)) {
    const path = `${mount.replace(/\/+$/, "")}/${file.path.replace(/^\/+/, "")}`;
    const bytes = await run(cluster, pod, name, ["cat", path], signal, []);
    if (bytes) return decodeText(bytes);
  }
  return undefined;
}

/** The output, or undefined where the command can't be run there or fails. */
async function run(
  cluster: Cluster,
  pod: PodRef,
  container: string,
  command: string[],
  signal: AbortSignal,
  failures: unknown[],
): Promise<Buffer | undefined> {
  try {
    const { stdout, stderr, exitCode } = await cluster.exec(pod, command, { container, signal });
    if (exitCode === 0) return stdout;
    failures.push(new Error(`${command.join(" ")} ended with ${exitCode}: ${stderr.toString().trim().slice(0, 200)}`));
  } catch (error) {
    if (!hasCode(error, "KUBE_EXEC_FAILED")) throw error;
    failures.push(error);
  }
  return undefined;
}

/** Process 1 is then another container's, or the node's. */
const sharesProcesses = (spec: PodSpec & { shareProcessNamespace?: boolean; hostPID?: boolean }): boolean =>
  spec.shareProcessNamespace === true || spec.hostPID === true;

/** A runtime gives each process of a container the pod's HOSTNAME: another one's environment, or what is left of one, hasn't it. */
const belongsTogether = (first: Environ | undefined, own: Environ): first is Environ =>
  first?.values.has("HOSTNAME") === true && first.values.get("HOSTNAME") === own.values.get("HOSTNAME");

function mountsOf({ containers, initContainers = [] }: PodSpec, volume: string): Array<{ name: string; mount: string }> {
  const sidecars = initContainers.filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...containers, ...sidecars].flatMap(({ name, volumeMounts = [] }: Container) =>
    volumeMounts.flatMap((mount) =>
      mount.name === volume && !mount.subPath && !mount.subPathExpr ? [{ name, mount: mount.mountPath }] : [],
    ),
  );
}
