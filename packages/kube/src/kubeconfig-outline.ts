import { readFile } from "node:fs/promises";
import { errorToJson } from "@shipside/core";
import { withoutPassword } from "./access-facts.ts";
import { listContexts, type RawCluster, type RawUser, resolveContext } from "./kubeconfig.ts";

/** What a kubeconfig is made of, without any secret: what may be handed to somebody who helps. */
export interface KubeconfigOutline {
  sources: readonly string[];
  currentContext: string | undefined;
  contexts: ReadonlyArray<Readonly<Record<string, unknown>>>;
}

/** `set` stands for a value that is there. */
const SET = "(set)";
/** What is no secret of a user's. Of all else it is only told that it is there. */
const PLAIN_USER = ["client-certificate", "client-key", "tokenFile", "as", "as-groups"] as const;

/**
 * The outline, and the secrets themselves: for masking them wherever else they may stand. Reads files only. Rejects as `listContexts` does;
 * a context that doesn't hold together is told in its place.
 */
export async function outlineKubeconfig(kubeconfig?: string): Promise<{ outline: KubeconfigOutline; secrets: string[] }> {
  const given = kubeconfig === undefined ? {} : { kubeconfig };
  const contexts = await listContexts(given);
  const secrets = new Set<string>();
  let sources: readonly string[] = [];
  const outlines = await Promise.all(
    contexts.map(async ({ name, cluster, user, namespace }) => {
      try {
        const found = await resolveContext({ ...given, context: name });
        sources = found.sources;
        for (const secret of await secretsOf(found.user, found.cluster)) secrets.add(secret);
        return {
          name,
          namespace,
          cluster: { name: cluster, ...clusterOutline(found.cluster) },
          user: { name: user, ...userOutline(found.user) },
        };
      } catch (error) {
        const { code, message } = errorToJson(error);
        return { name, namespace, error: { code, message } };
      }
    }),
  );
  return {
    outline: { sources, currentContext: contexts.find(({ current }) => current)?.name, contexts: outlines },
    secrets: [...secrets],
  };
}

function clusterOutline(cluster: RawCluster): Record<string, unknown> {
  const authority = cluster["certificate-authority"];
  return {
    server: withoutPassword(cluster.server),
    ...(authority && { "certificate-authority": authority }),
    ...(cluster["certificate-authority-data"] && { "certificate-authority-data": SET }),
    ...(cluster["insecure-skip-tls-verify"] && { "insecure-skip-tls-verify": true }),
    ...(cluster["tls-server-name"] && { "tls-server-name": cluster["tls-server-name"] }),
    ...(cluster["proxy-url"] && { "proxy-url": withoutPassword(cluster["proxy-url"]) }),
  };
}

function userOutline(user: RawUser): Record<string, unknown> {
  const outline: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(user)) {
    if (value === undefined || value === null) continue;
    outline[key] = (PLAIN_USER as readonly string[]).includes(key) ? value : SET;
  }
  const { exec, "auth-provider": provider } = user;
  if (exec) {
    const { apiVersion, command, args = [], env = [], interactiveMode, provideClusterInfo } = exec;
    outline["exec"] = {
      ...{ apiVersion, command, interactiveMode, provideClusterInfo },
      // A word may be a password; an option's name isn't.
      args: args.map((word) => (word.startsWith("-") ? word.replace(/=.*/s, "=…") : "…")),
      env: env.map(({ name }) => name),
    };
  }
  if (provider) outline["auth-provider"] = { name: provider.name, config: Object.keys(provider.config ?? {}) };
  return outline;
}

async function secretsOf(user: RawUser, cluster: RawCluster): Promise<string[]> {
  const { exec, "auth-provider": provider } = user;
  const files = await Promise.all(
    [user.tokenFile, user["client-key"]].map((path) => (path ? readFile(path, "utf8").catch(() => "") : "")),
  );
  const keyData = user["client-key-data"];
  return [
    ...[
      user.token,
      user.password,
      keyData,
      keyData && Buffer.from(keyData, "base64").toString("utf8"),
      user["client-certificate-data"],
    ],
    ...files.map((text) => text.trim()),
    ...(exec?.env ?? []).map(({ value }) => value),
    // Values of options, and words by themselves that are no command's name.
    ...(exec?.args ?? []).map((word) => word.replace(/^--?[\w-]+=?/, "")).filter((word) => word.length >= 12 || /\d/.test(word)),
    ...Object.entries(provider?.config ?? {}).flatMap(([key, value]) => (/token|secret|password/.test(key) ? [String(value)] : [])),
    ...[cluster.server, cluster["proxy-url"]].flatMap((url) => {
      const { password = "", username = "" } = (url ? URL.parse(url) : undefined) ?? {};
      return [password, decoded(password), password === "" ? username : ""];
    }),
  ].filter((text): text is string => typeof text === "string" && text !== "");
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
