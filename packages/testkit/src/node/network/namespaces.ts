import { mkdirSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createCloser, splice } from "@shipside/core";
import type { Store } from "../../store.ts";
import type { Agent } from "../agent/client.ts";
import { serviceEnv } from "../env/service-links.ts";
import { nodeError } from "../errors.ts";
import { fstabEntry } from "../fstab.ts";
import type { ApiServerFacts } from "../node-context.ts";
import { findTool } from "../programs.ts";
import { createAddressPool } from "./addresses.ts";
import { hostTree, mountPoints, overlayCandidates } from "./host-tree.ts";
import { startHostsFiles } from "./hosts-files.ts";
import type { PodNetwork } from "./network.ts";
import { openPodAgent } from "./pod-agent-process.ts";
import { planRoot } from "./root-plan.ts";
import { createServiceProxy } from "./service-proxy.ts";

const FIRST_POD = "10.244.0.2";
const GATEWAY = "10.244.0.1";
/** Set, so that it stays: a bridge without one takes the least of its ports', which changes with the pods, and neighbours go on with the old. */
const GATEWAY_MAC = "0a:58:0a:f4:00:01";
/** The range of ClusterIPs: every address of it is the node's, so that the proxy may listen on any. */
const SERVICE_RANGE = "10.96.0.0/12";

/** What every pod gets. */
const POD_NAMESPACES = "--net --mount --uts --ipc --pid --fork --kill-child --mount-proc";

/**
 * $1 ip's commands · $2 ip · $3 mount · $4 an empty directory · $5 fstab of overlays to try · $6 their directories · $7 umount ·
 * $8 unshare, to try once what every pod does: a machine which forbids it is found out before the first pod · rest: the agent.
 */
const NODE_SCRIPT = `
"$8" ${POD_NAMESPACES} "$2" link set lo up &
"$2" -batch - <<END
$1
END
"$3" -t tmpfs -o mode=700 shipside "$4"
mkdir "$4/work" "$4/upper" "$4/root"
for d in $6; do mkdir "$4/work$d" "$4/upper$d" "$4/root$d"; done
"$3" -T "$5" -a 2>/dev/null || :
while read -r line; do printf '%s\\n' "$line"; done < /proc/self/mountinfo > "$5.mounted"
"$7" --recursive --lazy "$4"
wait $!
shift 8
exec "$@"`;

/** In the node's network namespace: hold on to it, and go on in the pod's own namespaces. $1 unshare · $2 sh · $3 the next script. */
const POD_OUTER = `
exec 9</proc/self/ns/net
unshare=$1 sh=$2 inner=$3
shift 3
exec "$unshare" ${POD_NAMESPACES} "$sh" -ec "$inner" pod "$@"`;

/** $1 ip's commands · $2 ip · $3 nsenter · $4 the pair's other end · $5 host name · $6 mount · $7 directory for layers · rest: the agent. */
const POD_INNER = `
"$2" -batch - <<END
$1
END
"$3" --net=/proc/self/fd/9 "$2" link set "$4" master br0 up
exec 9<&-
hostname "$5" 2>/dev/null || :
"$6" -t tmpfs -o mode=755 shipside "$7"
shift 7
exec "$@"`;

/**
 * Pods in namespaces of their own, without privilege: one user and network namespace is the node, with a bridge and the services'
 * addresses; each pod has its network, mount, pid, uts and ipc namespaces, held by an agent that is their first process.
 * Throws `NODE_NETWORK_UNAVAILABLE` with the machine's reason.
 */
export async function openNamespaces(options: {
  store: Store;
  directory: string;
  temporary: boolean;
  apiServer: ApiServerFacts | undefined;
}): Promise<PodNetwork> {
  const { store, directory, temporary, apiServer } = options;
  const closer = createCloser();
  try {
    const tools = findTools();
    const { agent: node, overlayable } = await startNodeAgent(directory, temporary, tools);
    closer.use(node);
    const enter = [tools.nsenter, "--preserve-credentials", `--user=/proc/${node.pid}/ns/user`, `--net=/proc/${node.pid}/ns/net`];

    if (apiServer) node.onHandOver((client) => toApiServer(client, apiServer.url));
    const proxy = createServiceProxy({
      store,
      listeners: { set: (address, routes) => node.serve(address, routes).then(() => []), close: async () => {} },
      ...(apiServer && {
        handOver: (service) => service.metadata.namespace === "default" && service.metadata.name === "kubernetes",
      }),
    });
    closer.use(proxy);
    const hosts = startHostsFiles(store);
    closer.defer(() => hosts.close());
    const pool = createAddressPool(FIRST_POD);
    let count = 0;
    let runs = 0;

    return {
      mode: "namespaces",
      hostIP: GATEWAY,
      serviceEnv: (namespace, links) => serviceEnv(store.list("services"), namespace, links),
      async sandbox(pod, podDirectory) {
        const ip = pool.take();
        const peer = `v${++count}`;
        const layers = join(podDirectory, "layers");
        const etc = join(podDirectory, "etc");
        mkdirSync(layers, { recursive: true });
        mkdirSync(etc, { recursive: true });
        const hostname: string = (pod["spec"].hostname || pod.metadata.name).slice(0, 63);
        writeFileSync(join(etc, "hostname"), `${hostname}\n`);
        writeFileSync(join(etc, "resolv.conf"), resolvConf(pod.metadata.namespace!));
        const forget = hosts.keep(join(etc, "hosts"), pod, ip);
        const commands = [
          "link set lo up",
          `link add eth0 type veth peer name ${peer} netns /proc/self/fd/9`,
          `addr add ${ip}/16 dev eth0`,
          "link set eth0 up",
          `route add default via ${GATEWAY}`,
        ].join("\n");
        const inner = [commands, tools.ip, tools.nsenter, peer, hostname, tools.mount, layers];
        let agent: Agent;
        try {
          agent = await openPodAgent(directory, [
            ...enter,
            tools.sh,
            "-ec",
            POD_OUTER,
            "node",
            tools.unshare,
            tools.sh,
            POD_INNER,
            ...inner,
          ]);
        } catch (error) {
          forget();
          pool.give(ip);
          throw error;
        }
        let closing: Promise<void> | undefined;
        const close = (): Promise<void> =>
          (closing ??= agent.close().then(() => {
            forget();
            pool.give(ip);
          }));
        return {
          ip,
          localAddress: "127.0.0.1",
          dial: (host, port) => agent.dial(host, port),
          agent,
          env: () => ({}),
          container({ name, mounts, workingDir = "/" }) {
            const links = ["hosts", "hostname", "resolv.conf"].map((file) => ({ at: `/etc/${file}`, target: `/.pod/${file}` }));
            const nodeLink = { at: "/usr/local/bin/node", target: process.execPath };
            // The pod's own mounts: its namespace began as a copy of this machine's, which stays what it was, and which no overlay may
            // hide. What the pod has mounted itself is no hindrance.
            const mounted = mountPoints(`/proc/${agent.pid}/mountinfo`).filter((point) => !point.startsWith(`${podDirectory}/`));
            const view = planRoot(hostTree(overlayable, mounted), {
              base: join(layers, `${name}-${++runs}`),
              workingDir,
              links: process.execPath === nodeLink.at ? links : [...links, nodeLink],
              mounts: [...mounts, { at: "/.pod", source: etc, file: false, readOnly: true }],
            });
            return { cwd: workingDir, view };
          },
          close,
          [Symbol.asyncDispose]: close,
        };
      },
      close: () => closer.close(),
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close().catch(() => {});
    throw nodeError("NODE_NETWORK_UNAVAILABLE", `pods can't have namespaces of their own here: ${(error as Error).message}`, {
      hint: 'use network: "loopback", or allow unprivileged user namespaces and install iproute2 and util-linux',
      cause: error,
    });
  }
}

const TOOLS = ["unshare", "nsenter", "ip", "mount", "umount", "sh", "chroot", "env"] as const;
type Tools = Record<(typeof TOOLS)[number], string>;

function findTools(): Tools {
  if (process.platform !== "linux") throw new Error("namespaces are Linux's");
  return Object.fromEntries(TOOLS.map((name) => [name, findTool(name)])) as Tools;
}

async function startNodeAgent(
  directory: string,
  temporary: boolean,
  tools: Tools,
): Promise<{ agent: Agent; overlayable: string[] }> {
  const trial = join(directory, "trial");
  mkdirSync(trial, { recursive: true });
  const candidates = overlayCandidates();
  const table = candidates.map((path) => {
    const options = `lowerdir=${path},upperdir=${trial}/upper${path},workdir=${trial}/work${path},userxattr`;
    return fstabEntry("overlay", `${trial}/root${path}`, "overlay", options);
  });
  const file = join(directory, "trial.fstab");
  writeFileSync(file, `${table.join("\n")}\n`);
  const commands = [
    "link set lo up",
    `link add br0 address ${GATEWAY_MAC} type bridge`,
    `addr add ${GATEWAY}/16 dev br0`,
    "link set br0 up",
    `route add local ${SERVICE_RANGE} dev lo`,
  ].join("\n");
  const wrapper = [
    ...[tools.unshare, "--user", "--map-root-user", "--net", "--mount", tools.sh, "-ec", NODE_SCRIPT],
    ...["node", commands, tools.ip, tools.mount, trial, file, candidates.join(" "), tools.umount, tools.unshare],
  ];
  const agent = await openPodAgent(directory, wrapper, temporary);
  // The mounts are gone again: the directory must be removable from where the agent sees it.
  const mounted = new Set(mountPoints(`${file}.mounted`));
  const overlayable = candidates.filter((path) => mounted.has(`${trial}/root${path}`));
  if (overlayable.length === 0) {
    await agent.close();
    throw new Error("the kernel doesn't let a user namespace mount an overlay");
  }
  return { agent, overlayable };
}

/** Nothing listens there, so that a name which isn't in the hosts file fails at once instead of leaving the machine. */
const resolvConf = (namespace: string): string =>
  `search ${namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\noptions ndots:5 timeout:1 attempts:1\n`;

function toApiServer(client: Socket, url: string): void {
  const { hostname, port } = new URL(url);
  const upstream = connect({
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || 443),
    allowHalfOpen: true,
    noDelay: true,
  });
  void splice(client, upstream);
}
