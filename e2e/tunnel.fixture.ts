import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, isIP, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCloser } from "@shipside/core";
import { type Cluster, connectCluster, NAMESPACES } from "@shipside/kube";
import { startCluster } from "@shipside/testkit";
import { parse, stringify } from "yaml";

export interface E2eCluster extends AsyncDisposable {
  readonly kubeconfig: string;
  /** Made for this test, and deleted with it. */
  readonly namespace: string;
  /** An admin's, for what a test sets up. */
  readonly cluster: Cluster;
}

/** The cluster of `SHIPSIDE_E2E_KUBECONFIG`, else an embedded one, with a namespace of the test's own. */
export async function e2eCluster(): Promise<E2eCluster> {
  const closer = createCloser();
  try {
    const kubeconfig = process.env["SHIPSIDE_E2E_KUBECONFIG"] ?? closer.use(await startCluster()).kubeconfigPath;
    const namespace = `shipside-e2e-${randomBytes(4).toString("hex")}`;
    const cluster = closer.use(await connectCluster({ kubeconfig, namespace }));
    await cluster.create(NAMESPACES, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    closer.defer(() => cluster.delete(NAMESPACES, { name: namespace }));
    return { kubeconfig, namespace, cluster, [Symbol.asyncDispose]: () => closer.close() };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

export interface CountingProxy extends AsyncDisposable {
  /** A kubeconfig that goes through the proxy. */
  readonly kubeconfig: string;
  /** Connections that the API server has got from it. */
  readonly accepted: number;
  readonly open: number;
  /** What stands carries nothing either way, what comes is accepted and not answered. With the undo all of it ends. */
  silence(): () => void;
}

/** Stands before the API server and counts connections. The kubeconfig must name one server, by https. */
export async function countingProxy(kubeconfig: string): Promise<CountingProxy> {
  const config = parse(await readFile(kubeconfig, "utf8")) as { clusters: Array<{ cluster: Record<string, unknown> }> };
  const { hostname, port } = new URL(String(config.clusters[0]!.cluster["server"]));
  const sockets = new Set<Socket>();
  const upstreams = new Set<Socket>();
  let accepted = 0;
  let silent = false;
  const server = createServer((client) => {
    accepted++;
    if (silent) {
      client.on("error", () => {}).pause();
      sockets.add(client);
      return;
    }
    const upstream = connect({ host: hostname, port: Number(port || 443) });
    sockets.add(client);
    upstreams.add(upstream);
    upstream.on("close", () => upstreams.delete(upstream));
    client.on("close", () => sockets.delete(client));
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const directory = await mkdtemp(join(tmpdir(), "shipside-e2e-"));
  const path = join(directory, "kubeconfig");
  for (const { cluster } of config.clusters) {
    cluster["server"] = `https://127.0.0.1:${(server.address() as { port: number }).port}`;
    // A certificate for a name is not one for the proxy's address.
    if (!isIP(hostname)) cluster["tls-server-name"] ??= hostname;
  }
  await writeFile(path, stringify(config), { mode: 0o600 });
  return {
    kubeconfig: path,
    get accepted() {
      return accepted;
    },
    get open() {
      return sockets.size;
    },
    silence() {
      silent = true;
      for (const socket of [...sockets, ...upstreams]) socket.unpipe().pause();
      return () => {
        silent = false;
        for (const socket of sockets) socket.destroy();
        sockets.clear();
      };
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true, force: true });
    },
  };
}
