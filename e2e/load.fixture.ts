import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { createCloser } from "@shipside/core";
import { isReady, type Pod } from "@shipside/kube";
import type { EmbeddedCluster, KubeJson } from "@shipside/testkit";
import { usersObjects } from "./incoming.fixture.ts";
import { embeddedPlace, givenPlace, type Place, type Running } from "./load.place.ts";

const given = process.env["SHIPSIDE_E2E_KUBECONFIG"];
/** Whether it is ours to break. */
export const onEmbedded = given === undefined;
export const SHOP = onEmbedded ? "shop" : `shipside-e2e-${randomBytes(4).toString("hex")}`;
/** Of the Service under load: two pods that answer `pod NAME`. */
export const API = "api";

/** Beside the one on which all is that doesn't want to be apart: it has one of a relay's two pods. */
export const SECOND_NODE = "second";

/** One request, and what became of it. */
export interface Asked {
  /** When it was sent, in ms since 1970, and how long it took. */
  at: number;
  ms: number;
  /** Flagged with `x-user`, and with whom; undefined: unflagged. */
  user?: string;
  /** On a connection of its own; else on one that is kept. */
  fresh: boolean;
  method: "GET" | "POST";
  /** The answer's text, or `failed: …`. */
  outcome: string;
}

export interface Load extends AsyncDisposable {
  /** What has been answered so far, in the order of its answers. */
  readonly asked: readonly Asked[];
  /** Resolves when one more has been answered that fits; rejects after `withinMs`. */
  until(fits: (asked: Asked) => boolean, withinMs: number): Promise<Asked>;
  /** Sends no more, waits for what is open, and resolves to everything. */
  stop(): Promise<readonly Asked[]>;
}

/** A namespace with a Service of two pods, and a pod that calls it: of the embedded cluster, or the one of `SHIPSIDE_E2E_KUBECONFIG`. */
export interface Shop extends Omit<Place, "embedded" | "generator" | "list" | "exec" | "apply">, AsyncDisposable {
  /** Throws where the cluster is a given one. */
  readonly embedded: EmbeddedCluster;
  /** From inside a pod, through the Service's ClusterIP, past the API server. */
  load(options?: { rate?: number; limitMs?: number; users?: readonly string[] }): Promise<Load>;
  /** Runs a program in that pod. */
  node(program: string): Promise<string>;
  /** As {@link usersObjects}. */
  objects(): Record<string, unknown>;
  /** Names of the Service's ready pods. */
  endpoints(): string[];
  selector(): Record<string, string>;
  /** Pods of a relay, whatever their state. */
  relayPods(): string[];
  isReady(pod: string): boolean;
  /** How often its containers were started again. */
  restarts(pod: string): number;
}

const TARGET = `
const server = require("node:http").createServer((request, response) => {
  request.resume().on("end", () => response.end("pod " + process.env.POD_NAME));
});
server.keepAliveTimeout = 600000;
server.listen(8080, process.env.POD_IP);
`;

const podOf = (name: string, field: string) => ({ name, valueFrom: { fieldRef: { fieldPath: field } } });

const shopManifests = ({ embedded, generator }: Place): object[] => [
  ...(embedded ? [{ apiVersion: "v1", kind: "Namespace", metadata: { name: SHOP } }] : []),
  ...generator.objects,
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: API, namespace: SHOP },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: API } },
      template: {
        metadata: { labels: { app: API, tier: "back" } },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: API,
              image: "node:24",
              command: ["node", "-e", TARGET],
              env: [podOf("POD_NAME", "metadata.name"), podOf("POD_IP", "status.podIP")],
              ports: [{ name: "http", containerPort: 8080 }],
              readinessProbe: { tcpSocket: { port: "http" }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: API, namespace: SHOP, labels: { app: API } },
    spec: { selector: { app: API, tier: "back" }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  },
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "caller", namespace: SHOP },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: "caller", image: "node:24", command: ["node", "-e", "setInterval(() => {}, 1e6)"], ...generator.container },
      ],
      ...generator.pod,
    },
  },
];

export async function openShop(): Promise<Shop> {
  const closer = createCloser();
  try {
    const place = given === undefined ? await embeddedPlace(closer, SHOP, [SECOND_NODE]) : await givenPlace(closer, SHOP, given);
    await place.apply(shopManifests(place));
    const { list } = place;
    const named = (kind: string, name: string): KubeJson | undefined => list(kind).find(({ metadata }) => metadata.name === name);
    const endpoints = (): string[] =>
      list("endpointslices.discovery.k8s.io")
        .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === API)
        // biome-ignore lint/suspicious/noExplicitAny: an endpoint
        .flatMap(({ endpoints: all }) => (all ?? []) as any[])
        .filter(({ conditions }) => conditions?.ready)
        .map(({ targetRef }) => String(targetRef.name));
    const calling = (): boolean => named("pods", "caller")?.["status"]?.phase === "Running";
    const settled = (): boolean => named("deployments.apps", API)?.["status"]?.availableReplicas === 2;
    while (endpoints().length < 2 || !calling() || !settled()) await sleep(50);
    // Of a given cluster a namespace gets objects of its own a moment later.
    if (given !== undefined) await sleep(3_000);

    const run = (command: readonly string[], stdin: boolean) => place.exec("caller", ["node", ...command], stdin);
    return {
      ...place,
      get embedded() {
        if (place.embedded) return place.embedded;
        throw new Error("only the embedded cluster can do this");
      },
      endpoints,
      objects: () => (given === undefined ? usersObjects(list) : withoutManagers(usersObjects(list))),
      selector: () => named("services", API)!["spec"].selector,
      relayPods: () =>
        list("pods")
          .map(({ metadata }) => metadata.name)
          .filter((name) => name.startsWith("shipside-")),
      restarts(pod) {
        const { containerStatuses = [] } = named("pods", pod)?.["status"] ?? {};
        return containerStatuses.reduce((sum: number, { restartCount }: { restartCount: number }) => sum + restartCount, 0);
      },
      isReady: (pod) => isReady(named("pods", pod) as unknown as Pod),
      async node(program) {
        const child = await run(["-e", program], false);
        let said = "";
        for (const stream of [child.stdout, child.stderr])
          stream.on("data", (chunk) => {
            said += chunk;
          });
        await child.exited;
        return said;
      },
      async load({ rate = 200, limitMs = 15_000, users = ["alice"] } = {}) {
        const clusterIP = String(named("services", API)!["spec"].clusterIP);
        const host = place.embedded?.node?.network === "loopback" ? API : clusterIP;
        return readLoad(await run([place.generator.path, JSON.stringify({ host, port: 80, rate, limitMs, users })], true));
      },
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

/** A real cluster's controllers write down when they last wrote. */
const withoutManagers = (objects: Record<string, unknown>): Record<string, unknown> =>
  JSON.parse(JSON.stringify(objects, (key, value) => (key === "managedFields" ? undefined : value)));

function readLoad(child: Running): Load {
  const asked: Asked[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => void asked.push(JSON.parse(line) as Asked));
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const closed = once(lines, "close");
  let stopped: Promise<readonly Asked[]> | undefined;
  const stop = (): Promise<readonly Asked[]> =>
    (stopped ??= (async () => {
      child.stdin.end();
      const code = await child.exited;
      await closed;
      if (code !== 0) throw new Error(`the load generator ended with ${code}: ${said}`);
      return asked;
    })());
  return {
    asked,
    async until(fits, withinMs) {
      const limit = Date.now() + withinMs;
      for (let seen = asked.length; Date.now() < limit; await sleep(20))
        for (; seen < asked.length; seen++) if (fits(asked[seen]!)) return asked[seen]!;
      const seen = Object.groupBy(
        asked.filter(({ at, ms }) => at + ms > limit - withinMs),
        ({ user, fresh, outcome }) => `${user ?? "unflagged"} ${fresh ? "new" : "kept"} ${outcome}`,
      );
      const counts = Object.entries(seen).map(([what, all]) => `${all!.length} ${what}`);
      throw new Error(`no such answer within ${withinMs} ms, but ${counts.join(", ") || "none at all"} ${said}`);
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}
