import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { createCloser } from "@shipside/core";
import type { Store } from "../../store.ts";
import type { Agent } from "../agent/client.ts";
import { serviceEnv } from "../env/service-links.ts";
import type { ApiServerFacts } from "../node-context.ts";
import { SYSTEM_PATH } from "../programs.ts";
import { claimLoopbackBlock } from "./addresses.ts";
import { connectTo } from "./connect.ts";
import type { ContainerMount, PodNetwork } from "./network.ts";
import { openPodAgent } from "./pod-agent-process.ts";
import { createServiceProxy } from "./service-proxy.ts";

/**
 * Pods without namespaces: each has a loopback address of its own, to which its programs must bind (`POD_IP`), its mounts stand below
 * `SHIPSIDE_ROOT`, and services have loopback addresses, which pods find in their service links. One agent holds all containers.
 * Where the machine has no 127.64.0.0/14 (macOS), all pods share 127.0.0.1.
 */
export async function openLoopback(options: {
  store: Store;
  directory: string;
  temporary: boolean;
  apiServer: ApiServerFacts | undefined;
}): Promise<PodNetwork> {
  const { store, directory, temporary, apiServer } = options;
  const closer = createCloser();
  let agent: Promise<Agent> | undefined;
  /** One that died is replaced with the next pod. */
  const theAgent = (): Promise<Agent> => {
    const opening = (agent ??= openPodAgent(directory, [], temporary));
    const forget = (): void => {
      if (agent === opening) agent = undefined;
    };
    opening.then((opened) => opened.gone.then(forget), forget);
    return opening;
  };
  await theAgent();
  closer.defer(async () => (await agent)?.close());

  const block = await claimLoopbackBlock();
  if (block) closer.use(block);
  const proxy = closer.use(createServiceProxy({ store, ...(block && { addresses: block.services }) }));

  return {
    mode: "loopback",
    hostIP: "127.0.0.1",
    serviceEnv: (namespace, links) => ({
      ...serviceEnv(store.list("services"), namespace, links, (service) => proxy.address(service)),
      ...(apiServer && directToApiServer(apiServer.url)),
    }),
    async sandbox(_pod, podDirectory) {
      const agent = await theAgent();
      const ip = block?.pods.take() ?? "127.0.0.1";
      let closed = false;
      const close = async (): Promise<void> => {
        if (closed) return;
        closed = true;
        block?.pods.give(ip);
      };
      return {
        ip,
        localAddress: ip,
        dial: connectTo,
        agent,
        env(container) {
          const root = join(podDirectory, "root", container);
          return { PATH: `${root}/usr/local/bin:${SYSTEM_PATH}`, HOME: root, POD_IP: ip, SHIPSIDE_ROOT: root };
        },
        container({ name, mounts, workingDir }) {
          const root = join(podDirectory, "root", name);
          layOut(root, mounts);
          const inRoot = workingDir && join(root, workingDir);
          const cwd = inRoot && existsSync(inRoot) ? inRoot : workingDir && existsSync(workingDir) ? workingDir : root;
          return { cwd };
        },
        close,
        [Symbol.asyncDispose]: close,
      };
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

/** The API server listens on a loopback address already; its certificate names that one. */
function directToApiServer(url: string): Record<string, string> {
  const { hostname, port } = new URL(url);
  return { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port, KUBERNETES_SERVICE_PORT_HTTPS: port };
}

/** The mounts as symbolic links below `root`, and a `node` to be found on PATH. */
function layOut(root: string, mounts: readonly ContainerMount[]): void {
  const links: Array<[string, string]> = [["/usr/local/bin/node", process.execPath]];
  for (const { at, source } of [...mounts].sort((a, b) => a.at.length - b.at.length)) links.push([at, source]);
  for (const [at, target] of links) {
    const path = join(root, at);
    if (existsSync(path)) continue;
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(target, path);
  }
}
