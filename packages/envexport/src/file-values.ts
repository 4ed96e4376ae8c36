import { hasCode } from "@shipside/core";
import type { Cluster, Container, EnvVar, Pod } from "@shipside/kube";
import { fileKey } from "./file-key.ts";
import { type RunningEnv, readRunning, readVolumeFile } from "./running.ts";

/** What a `fileKeyRef` stands for: its value, none (the file hasn't the key), or why it can't be told. */
export type FileValue = { value: string | undefined } | { why: string };

export const hasFileKeys = ({ env = [] }: Container): boolean =>
  env.some(({ value, valueFrom }) => !value && valueFrom?.fileKeyRef !== undefined);

/**
 * The values of a container's `fileKeyRef`s (KEP-3721). The kubelet reads the file when it starts the container, so what the running
 * container has is the truth; the file is asked only where the container can't be.
 */
export async function fileValues(
  cluster: Cluster,
  pod: Pod,
  { name: container, env = [] }: Container,
  options: { running?: RunningEnv | undefined; signal: AbortSignal },
): Promise<(variable: EnvVar) => FileValue> {
  const { signal } = options;
  const refs = env.filter(({ value, valueFrom }) => !value && valueFrom?.fileKeyRef);
  // Of a name that is given twice the container has the last value only.
  const told = (name: string): boolean => env.filter((each) => each.name === name).length === 1;
  let running = options.running;
  if (!running && refs.some(({ name }) => told(name))) {
    try {
      running = await readRunning(cluster, pod, container, signal);
    } catch (error) {
      if (!hasCode(error, "ENV_RUNNING_UNREADABLE")) throw error;
    }
  }
  const texts = new Map<string, string | undefined>();
  const place = ({ valueFrom }: EnvVar): string => JSON.stringify([valueFrom?.fileKeyRef?.volumeName, valueFrom?.fileKeyRef?.path]);
  const unknown = refs.filter(({ name }) => !running || !told(name) || running.notText.includes(name));
  await Promise.all(
    [...new Set(unknown.map(place))].map(async (key) => {
      const [volume, path] = JSON.parse(key) as [string, string];
      texts.set(key, await readVolumeFile(cluster, pod, { volume, path }, signal));
    }),
  );

  return (variable) => {
    if (running && !unknown.includes(variable)) return { value: running.values.get(variable.name) };
    const { volumeName, path, key } = variable.valueFrom?.fileKeyRef ?? { volumeName: "", path: "", key: "" };
    const text = texts.get(place(variable));
    if (text === undefined)
      return { why: `nothing in pod ${pod.metadata.name} can read the file ${path} of its volume ${volumeName}` };
    try {
      return { value: fileKey(text, key) };
    } catch (error) {
      return { why: `the file ${path} of volume ${volumeName} is not an env file: ${(error as Error).message}` };
    }
  };
}
