import { hasCode, parseQuantity, type VolumeMountRequest } from "@shipside/core";
import { type Cluster, type ExecResult, PODS } from "@shipside/kube";
import { volumesError } from "../errors.ts";

/** A cluster whose answers take longer, in ms, is far: `gzip` makes 20 to 100 MB/s, which most links of that length don't carry. */
const FAR_MS = 10;
/** A container with less of a processor has none of it to spare. */
const LEAST_CPU = 0.5;

/**
 * `sh -c SCRIPT sh PATH zip|plain`. `tar` writes 10 KiB at a time, busybox's each header and each small file, and every piece passes five processes
 * on its way: `dd` makes few of many. What runs in a container isn't ended when its reader is gone, and would wait for ever to write more; but its
 * input ends then. A pipe ends as its last program does, so how `tar` ended is said. The first process of many a container waits for no other
 * process's children: all of them are waited for here.
 */
const SCRIPT = `exec 3<&0
has() { command -v "$1" >/dev/null; }
send() { tar cf - -C "$1" . || echo "tar ended with $?" >&2; }
if [ "$2" = zip ] && has gzip && has nice; then
  send "$1" | nice gzip -1 &
elif has dd; then
  send "$1" | dd ibs=64k obs=256k 2>/dev/null &
else
  tar cf - -C "$1" . &
fi
sender=$!
{ while read -r _; do :; done; kill $sender; } <&3 >/dev/null 2>&1 &
watcher=$!
wait $sender
ended=$?
kill $watcher 2>/dev/null
wait 2>/dev/null
exit $ended`;

/** What is known of the way to a cluster. */
export interface Distance {
  /** The quickest of its answers so far, in ms; of none yet: infinite. */
  quickestMs: number;
}

export interface SendArchiveOptions {
  /** Default: where the cluster is far, and the container's CPU limit is no less than half a processor. */
  compress?: boolean | undefined;
  /** Is asked where `compress` isn't said, and learns. */
  distance: Distance;
  onStdout(chunk: Buffer): void | Promise<void>;
}

/**
 * What is at `remotePath`, as an archive of `tar`'s, by `exec`: compressed by `gzip`, or not. Rejects with `VOLUMES_SNAPSHOT_NO_TAR`,
 * `VOLUMES_SNAPSHOT_FAILED`, those of `Cluster.exec`, and what `onStdout` does.
 */
export async function sendArchive(
  cluster: Pick<Cluster, "exec" | "get">,
  request: VolumeMountRequest,
  { compress, distance, onStdout }: SendArchiveOptions,
): Promise<void> {
  const { pod, container, remotePath, signal, volume } = request;
  const what = `volume ${volume} of pod ${pod.namespace}/${pod.name}`;
  const noTar = (cause: unknown): Error =>
    volumesError("VOLUMES_SNAPSHOT_NO_TAR", `${what} can't be copied: its container has no tar`, {
      cause,
      hint: "another driver may be able to bring it, or a container of the pod whose image has tar",
      details: { ...pod, ...(container !== undefined && { container }) },
    });
  const failed = (why: string, cause?: unknown): Error =>
    volumesError("VOLUMES_SNAPSHOT_FAILED", `${what} could not be copied from ${remotePath}: ${why}`, {
      ...(cause !== undefined && { cause }),
      details: { ...pod, remotePath },
    });
  const isAbsent = (error: unknown): boolean =>
    hasCode(error, "KUBE_EXEC_FAILED") && /executable file not found|no such file|no such program/i.test((error as Error).message);

  let result: ExecResult;
  try {
    const form = (compress ?? (await isWorthIt(cluster, request, distance))) ? "zip" : "plain";
    // What is far is held up by the line, and what is near by the servers.
    const options = { signal, onStdout, bulk: form === "plain", ...(container !== undefined && { container }) };
    result = await cluster.exec(pod, ["sh", "-c", SCRIPT, "sh", remotePath, form], { ...options, stdin: "open" }).catch((error) => {
      if (!isAbsent(error)) throw error;
      // An image may have tar and no shell.
      return cluster.exec(pod, ["tar", "cf", "-", "-C", remotePath, "."], options);
    });
  } catch (cause) {
    if (!hasCode(cause, "KUBE_EXEC_FAILED")) throw cause;
    throw isAbsent(cause) ? noTar(cause) : failed((cause as Error).message, cause);
  }
  const { exitCode, said } = outcome(result);
  if (exitCode === 0) return;
  if (exitCode === 126 || exitCode === 127) throw noTar(new Error(said));
  // GNU tar ends so where the workload wrote meanwhile: what is copied is as good as a copy of a volume in use can be.
  const harmless = said.split("\n").every((line) => /file changed as we read it$|socket ignored$/.test(line));
  if (exitCode === 1 && harmless && said !== "") return;
  throw failed(`tar ended with ${exitCode}: ${said.slice(0, 500)}`);
}

function outcome({ exitCode, stderr }: ExecResult): { exitCode: number; said: string } {
  const said = stderr.toString().trim();
  const [line, ended] = /(?:^|\n)tar ended with (\d+)$/.exec(said) ?? [];
  return line === undefined ? { exitCode, said } : { exitCode: Number(ended), said: said.slice(0, -line.length) };
}

/** How far the cluster is says the quickest of two answers or more: a connection may have had to be made for the first. */
async function isWorthIt(
  { get }: Pick<Cluster, "get">,
  { pod, container, signal }: VolumeMountRequest,
  distance: Distance,
): Promise<boolean> {
  const isNear = (): boolean => distance.quickestMs < FAR_MS;
  try {
    for (let least = Number.isFinite(distance.quickestMs) ? 1 : 2; least > 0 && !isNear(); least--) {
      const began = performance.now();
      const { spec } = await get(PODS, pod, { signal });
      distance.quickestMs = Math.min(distance.quickestMs, performance.now() - began);
      const limits = spec.containers
        .filter(({ name }) => container === undefined || name === container)
        .map(({ resources }) => resources?.limits?.["cpu"]);
      if (limits.some((limit) => limit !== undefined && (parseQuantity(limit) ?? 0) < LEAST_CPU)) return false;
    }
    return !isNear();
  } catch {
    // Who may run a command in the pod may not look at it, perhaps; what else is wrong `exec` will tell.
    return false;
  }
}
