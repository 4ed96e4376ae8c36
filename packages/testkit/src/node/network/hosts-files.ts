import { renameSync, writeFileSync } from "node:fs";
import type { KubeJson, Store } from "../../store.ts";
import { slicesByService } from "./endpoints.ts";
import { renderPodHosts } from "./pod-hosts.ts";

export interface HostsFiles {
  /** Writes a pod's file now, and again whenever a name changes. Returns its undo. */
  keep(file: string, pod: KubeJson, podIP: string): () => void;
  close(): void;
}

/** Changes within this time make one round of writing. */
const SETTLE_MS = 5;

export function startHostsFiles(store: Store): HostsFiles {
  const files = new Map<string, { pod: KubeJson; podIP: string; text: string }>();
  let timer: NodeJS.Timeout | undefined;

  const facts = () => {
    const bySpace = Map.groupBy(store.list("endpointslices.discovery.k8s.io"), (slice) => slice.metadata.namespace);
    const byService = new Map([...bySpace].map(([namespace, slices]) => [namespace, slicesByService(slices)]));
    return {
      services: store.list("services"),
      slices: ({ metadata }: KubeJson) => byService.get(metadata.namespace)?.get(metadata.name) ?? [],
    };
  };
  const write = (file: string, now: ReturnType<typeof facts>): void => {
    const entry = files.get(file);
    if (!entry) return;
    const text = renderPodHosts({ ...entry, ...now });
    if (text === entry.text) return;
    entry.text = text;
    // A reader must never see half a file.
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const writeAll = (): void => {
    timer = undefined;
    const now = facts();
    for (const file of files.keys()) write(file, now);
  };
  const stop = store.subscribe(({ resource }) => {
    if (resource === "services" || resource === "endpointslices.discovery.k8s.io") timer ??= setTimeout(writeAll, SETTLE_MS);
  });
  return {
    keep(file, pod, podIP) {
      files.set(file, { pod, podIP, text: "" });
      write(file, facts());
      return () => void files.delete(file);
    },
    close() {
      stop();
      clearTimeout(timer);
    },
  };
}
