export interface KubeconfigFacts {
  server: string;
  ca: string;
  context: string;
  user: string;
  credentials: { token: string } | { cert: string; key: string };
  namespace?: string;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** A kubeconfig with everything in it: no file beside it is needed. */
export function renderKubeconfig({ server, ca, context, user, credentials, namespace = "default" }: KubeconfigFacts): string {
  const lines = [
    "apiVersion: v1",
    "kind: Config",
    `current-context: ${JSON.stringify(context)}`,
    "clusters:",
    `- name: ${JSON.stringify(context)}`,
    "  cluster:",
    `    server: ${server}`,
    `    certificate-authority-data: ${base64(ca)}`,
    "contexts:",
    `- name: ${JSON.stringify(context)}`,
    "  context:",
    `    cluster: ${JSON.stringify(context)}`,
    `    user: ${JSON.stringify(user)}`,
    `    namespace: ${JSON.stringify(namespace)}`,
    "users:",
    `- name: ${JSON.stringify(user)}`,
    "  user:",
    ...("token" in credentials
      ? [`    token: ${JSON.stringify(credentials.token)}`]
      : [`    client-certificate-data: ${base64(credentials.cert)}`, `    client-key-data: ${base64(credentials.key)}`]),
  ];
  return `${lines.join("\n")}\n`;
}
