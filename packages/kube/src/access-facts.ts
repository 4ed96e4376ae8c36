import { X509Certificate } from "node:crypto";
import { access, constants, readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { ClusterInfo } from "./cluster.ts";
import { type KubeconfigOptions, type RawUser, type ResolvedContext, resolveContext } from "./kubeconfig.ts";
import { proxyFromEnv } from "./proxy-env.ts";

/** One way by which a kubeconfig's user proves who they are. No secret is in it. */
export type AuthFact =
  | { kind: "client-certificate"; subject: string; notBefore: Date; notAfter: Date }
  /** `expires` is known where the token is a JWT that says so. */
  | { kind: "token"; file?: string; expires?: Date }
  /** `path`: where its command is, undefined where it is not to be found. */
  | { kind: "plugin"; command: string; path: string | undefined; installHint?: string }
  | { kind: "auth-provider"; name: string; expires?: Date }
  | { kind: "basic" }
  /** A file that can't be read, or isn't what it should be. */
  | { kind: "broken"; what: string };

/** What a context says about the way to its cluster. */
export interface AccessFacts {
  info: ClusterInfo;
  /** The files it was read from, or "in-cluster". */
  sources: readonly string[];
  /** Empty: no credentials at all. */
  auth: readonly AuthFact[];
  /** Whom it impersonates. */
  as?: string;
  /** The proxy that requests go through, without its password, and who named it. */
  proxy?: { url: string; from: "kubeconfig" | "environment" };
  /** The server's certificate isn't checked. */
  insecure: boolean;
}

/**
 * Reads what the kubeconfig says, and the certificates and tokens it names; asks no server and runs no plugin.
 * Errors: `KUBE_NO_CONFIG`, `KUBE_CONFIG_INVALID`, `KUBE_CONTEXT_UNKNOWN`.
 */
export async function readAccessFacts(
  options: KubeconfigOptions,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<AccessFacts> {
  const { info, sources, cluster, user, server } = await resolveContext(options);
  const ofEnv = proxyFromEnv(server, env);
  const proxy = cluster["proxy-url"]
    ? ({ url: withoutPassword(cluster["proxy-url"]), from: "kubeconfig" } as const)
    : ofEnv && ({ url: withoutPassword(ofEnv), from: "environment" } as const);
  return {
    info: { ...info, server: withoutPassword(info.server) },
    sources,
    auth: await authOf(user, env),
    insecure: cluster["insecure-skip-tls-verify"] === true,
    ...(user.as && { as: user.as }),
    ...(proxy && { proxy }),
  };
}

/** {@link ClusterInfo.notes}: told before any of it happens. */
export function notesOf({ cluster, user }: ResolvedContext): string[] {
  const { exec, "auth-provider": provider } = user;
  const programs = [exec?.command, provider?.config?.["cmd-path"]].filter(
    (program) => typeof program === "string" && program !== "",
  );
  const proxy = cluster["proxy-url"];
  return [
    ...programs.map((program) => `the kubeconfig has ${program} run for credentials`),
    ...(proxy ? [`the kubeconfig says: by the proxy ${withoutPassword(proxy)}`] : []),
    ...(cluster["insecure-skip-tls-verify"] ? ["the kubeconfig says: the server's certificate is not checked"] : []),
  ];
}

async function authOf(user: RawUser, env: Readonly<Record<string, string | undefined>>): Promise<AuthFact[]> {
  const facts: AuthFact[] = [];
  const reading = async (what: string, read: () => Promise<AuthFact>): Promise<void> => {
    facts.push(await read().catch((error: Error): AuthFact => ({ kind: "broken", what: `${what}: ${error.message}` })));
  };
  const data = user["client-certificate-data"];
  const file = user["client-certificate"];
  if (data || file)
    await reading("the client certificate can't be read", async () => {
      const pem = data ? Buffer.from(data, "base64") : await readFile(file!);
      const { subject, validFrom, validTo } = new X509Certificate(pem);
      return {
        kind: "client-certificate",
        subject: subject.split("\n").join(", "),
        notBefore: new Date(validFrom),
        notAfter: new Date(validTo),
      };
    });
  if (user.tokenFile) {
    const path = user.tokenFile;
    await reading("the token file can't be read", async () => {
      return { kind: "token", file: path, ...expiryOfToken((await readFile(path, "utf8")).trim()) };
    });
  } else if (user.token) facts.push({ kind: "token", ...expiryOfToken(user.token) });
  const { exec, "auth-provider": provider } = user;
  if (exec) {
    const path = await findCommand(exec.command, env);
    facts.push({ kind: "plugin", command: exec.command, path, ...(exec.installHint && { installHint: exec.installHint }) });
  }
  if (provider) {
    const idToken = provider.config?.["id-token"];
    facts.push({
      kind: "auth-provider",
      name: provider.name,
      ...(typeof idToken === "string" && expiryOfToken(idToken)),
    });
  }
  if (user.username) facts.push({ kind: "basic" });
  return facts;
}

/** `exp` of a JWT (RFC 7519 §4.1.4); nothing where it is another kind of token. */
function expiryOfToken(token: string): { expires?: Date } {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as { exp?: unknown };
    return typeof exp === "number" ? { expires: new Date(exp * 1000) } : {};
  } catch {
    return {};
  }
}

/** As a shell finds it. */
async function findCommand(command: string, env: Readonly<Record<string, string | undefined>>): Promise<string | undefined> {
  const endings = process.platform === "win32" ? ["", ...(env["PATHEXT"] ?? ".EXE;.CMD;.BAT").split(";")] : [""];
  const folders = /[\\/]/.test(command) ? [""] : (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const folder of folders) {
    for (const ending of endings) {
      const path = (folder === "" ? command : join(folder, command)) + ending;
      if (
        await access(path, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return path;
    }
  }
  return undefined;
}

/** A URL that may be shown: without its password, and without a query, which may hold one. */
export function withoutPassword(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (!url) return "(not a URL)";
  if (url.password === "" && url.username === "" && url.search === "") return text;
  return `${url.protocol}//${url.username || url.password ? "***@" : ""}${url.host}${url.pathname === "/" ? "" : url.pathname}`;
}
