/** A namespace with a Deployment `core` in it, whose container has `GREETING`. */
export const coreWorkload = (namespace: string, greeting = "hello"): object[] => [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "core", namespace },
    spec: {
      selector: { matchLabels: { app: "core" } },
      template: {
        metadata: { labels: { app: "core" } },
        spec: { containers: [{ name: "core", image: "node", env: [{ name: "GREETING", value: greeting }] }] },
      },
    },
  },
];
