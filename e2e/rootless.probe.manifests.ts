export const PORT = 43190;

/** What each server's program does: says who it is, over HTTP and UDP. POD_IP is set where an embedded node's pods share a network. */
const SERVE = `
const where = process.env.POD_IP;
require("node:http").createServer((q, s) => s.end("from " + require("node:os").hostname())).listen(${PORT}, where);
const udp = require("node:dgram").createSocket("udp4", (d, from) => udp.send("re:" + d, from.port, from.address)).bind(${PORT}, where);
process.on("SIGTERM", () => process.exit(0));`;
const IDLE = "setInterval(() => {}, 1e6); process.on('SIGTERM', () => process.exit(0))";

const object = (apiVersion: string, kind: string, namespace: string | undefined, name: string, fields: object): object => ({
  apiVersion,
  kind,
  metadata: { name, ...(namespace !== undefined && { namespace }) },
  ...fields,
});

const workload = (kind: string, namespace: string, name: string, podSpec: object, more: object = {}): object =>
  object("apps/v1", kind, namespace, name, {
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { terminationGracePeriodSeconds: 1, ...podSpec } },
      ...more,
    },
  });
const node = (program: string, more: object = {}): object => ({
  containers: [{ name: "main", image: "node:24", command: ["node", "-e", program], ...more }],
});
const server = node(SERVE, { readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 } });
const service = (namespace: string, name: string, spec: object): object => object("v1", "Service", namespace, name, { spec });

export interface Place {
  /** Where the workload is. */
  home: string;
  /** Another namespace. */
  other: string;
  /** On the node, for the volume that is written to; everybody may write to it. */
  directory: string;
}

/** Four services of every kind, in two namespaces, and `deployment/probe`, which mounts a volume of every kind that can be brought. */
export const manifests = ({ home, other, directory }: Place): object[] => [
  object("v1", "Namespace", undefined, home, {}),
  object("v1", "Namespace", undefined, other, {}),
  workload("Deployment", home, "web", server),
  workload("StatefulSet", home, "db", server, { serviceName: "db", replicas: 2 }),
  workload("Deployment", other, "web", server),
  service(home, "web", {
    selector: { app: "web" },
    ports: [
      { name: "http", port: 80, targetPort: PORT },
      { name: "echo", port: 5353, targetPort: PORT, protocol: "UDP" },
    ],
  }),
  service(home, "db", { clusterIP: "None", selector: { app: "db" }, ports: [{ name: "http", port: PORT }] }),
  service(home, "alias", { type: "ExternalName", externalName: `web.${other}.svc.cluster.local` }),
  service(other, "web", { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: PORT }] }),
  object("v1", "ConfigMap", home, "settings", { data: { "app.ini": "level=debug\n", extra: "more" } }),
  object("v1", "Secret", home, "keys", { stringData: { password: "hunter2" } }),
  object("v1", "ServiceAccount", home, "prober", {}),
  object("v1", "PersistentVolume", undefined, `data-${home}`, {
    spec: {
      ...{ capacity: { storage: "1Mi" }, accessModes: ["ReadWriteOnce"], storageClassName: "" },
      ...{ hostPath: { path: directory }, claimRef: { namespace: home, name: "data" } },
    },
  }),
  object("v1", "PersistentVolumeClaim", home, "data", {
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "",
      volumeName: `data-${home}`,
      resources: { requests: { storage: "1Mi" } },
    },
  }),
  workload("Deployment", home, "probe", {
    ...{ serviceAccountName: "prober", hostname: "prober" },
    volumes: [
      { name: "settings", configMap: { name: "settings" } },
      { name: "keys", secret: { secretName: "keys", defaultMode: 0o400 } },
      {
        name: "about",
        downwardAPI: {
          items: [
            { path: "labels/app", fieldRef: { fieldPath: "metadata.labels['app']" } },
            { path: "where", mode: 0o444, fieldRef: { fieldPath: "metadata.namespace" } },
          ],
        },
      },
      {
        name: "vault",
        projected: {
          sources: [
            { serviceAccountToken: { path: "token", audience: "vault" } },
            { configMap: { name: "settings", items: [{ key: "extra", path: "from/settings" }] } },
          ],
        },
      },
      { name: "data", persistentVolumeClaim: { claimName: "data" } },
    ],
    ...node(IDLE, {
      env: [
        { name: "PROBE_GREETING", value: "$(WEB_SERVICE_HOST) is web" },
        { name: "PROBE_PASSWORD", valueFrom: { secretKeyRef: { name: "keys", key: "password" } } },
        { name: "PROBE_LINES", value: "one\ntwo 'and' \"three\" $HOME" },
      ],
      volumeMounts: [
        { name: "settings", mountPath: "/etc/probe-settings" },
        { name: "settings", mountPath: "/etc/probe.ini", subPath: "app.ini" },
        { name: "keys", mountPath: "/probe-keys", readOnly: true },
        { name: "about", mountPath: "/var/lib/probe/about" },
        { name: "vault", mountPath: "/var/run/secrets/probe-vault" },
        { name: "data", mountPath: "/probe-data" },
      ],
    }),
  }),
];

/** CoreDNS with the settings that clusters have, as `cluster`'s DNS for whoever asks its Service. `program`: a static binary on the node. */
export const dnsManifests = (home: string, program: string): object[] => {
  const account = `probe-dns-${home}`;
  const rules = [
    { apiGroups: [""], resources: ["endpoints", "services", "pods", "namespaces"], verbs: ["list", "watch"] },
    { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
  ];
  const corefile =
    ".:53 {\n  errors\n  ready\n  kubernetes cluster.local in-addr.arpa ip6.arpa {\n    pods insecure\n    ttl 30\n  }\n}\n";
  const folder = program.slice(0, program.lastIndexOf("/"));
  return [
    object("v1", "ServiceAccount", home, account, {}),
    object("rbac.authorization.k8s.io/v1", "ClusterRole", undefined, account, { rules }),
    object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", undefined, account, {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: account },
      subjects: [{ kind: "ServiceAccount", name: account, namespace: home }],
    }),
    object("v1", "ConfigMap", home, account, { data: { Corefile: corefile } }),
    workload("Deployment", home, "dns", {
      serviceAccountName: account,
      volumes: [
        { name: "config", configMap: { name: account } },
        { name: "program", hostPath: { path: folder } },
      ],
      containers: [
        {
          ...{ name: "main", image: "node:24", command: [`/opt/dns${program.slice(folder.length)}`, "-conf", "/etc/dns/Corefile"] },
          readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 },
          volumeMounts: [
            { name: "config", mountPath: "/etc/dns" },
            { name: "program", mountPath: "/opt/dns" },
          ],
        },
      ],
    }),
    service(home, "dns", {
      selector: { app: "dns" },
      ports: [
        { name: "dns", port: 53, protocol: "UDP" },
        { name: "dns-tcp", port: 53 },
      ],
    }),
  ];
};
