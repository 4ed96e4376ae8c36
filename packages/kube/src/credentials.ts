import { readFile } from "node:fs/promises";
import type { OutgoingHttpHeaders } from "node:http";
import type { RequestOptions } from "node:https";
import { createSecureContext, type SecureContext } from "node:tls";
import { abortError } from "@shipside/core";
import { loadKubeConfig } from "./client-node.ts";
import { kubeError } from "./errors.ts";
import { type ExecCredential, runExecPlugin } from "./exec-credential.ts";
import type { RawUser, ResolvedContext } from "./kubeconfig.ts";
import { createOidcTokens, type OidcConfig } from "./oidc.ts";

type Pem = string | Buffer;

/** What one TLS connection to the API server is made with. The same object as long as nothing in it changes. */
export interface TlsMaterial {
  ca?: Pem;
  cert?: Pem;
  key?: Pem;
  servername?: string;
  rejectUnauthorized?: boolean;
  /** `ca`, `cert` and `key`, parsed once. */
  secureContext: SecureContext;
}

export interface Credentials {
  /** Authorization and Impersonate-*. Secret. */
  headers: OutgoingHttpHeaders;
  tls: TlsMaterial;
}

export interface CredentialSource {
  /** What to send now; several callers share one run of a plugin. */
  current(signal: AbortSignal): Promise<Credentials>;
  /** After the server has refused `stale`: fresh ones, or undefined where they can't be any other. */
  refresh(stale: Credentials, signal: AbortSignal): Promise<Credentials | undefined>;
  close(): void;
}

/** How long files (tokens, certificates) are taken to be unchanged: as client-go does. */
const FILE_TTL_MS = 60_000;
const EXPIRY_LEEWAY_MS = 10_000;

export function createCredentialSource(context: ResolvedContext, options: { pluginTimeoutMs: number }): CredentialSource {
  const lifetime = new AbortController();
  const { user } = context;
  const provide = lazily(() => clientNodeOptions(context));
  const oidc =
    user["auth-provider"]?.name === "oidc" ? createOidcTokens((user["auth-provider"].config ?? {}) as OidcConfig) : undefined;
  let cached: { credentials: Credentials; until: number } | undefined;
  let plugin: { credential: ExecCredential; until: number } | undefined;
  let loading: Promise<Credentials> | undefined;

  const execCredential = async (ca: Pem | undefined): Promise<ExecCredential> => {
    if (plugin && plugin.until > Date.now()) return plugin.credential;
    const credential = await runExecPlugin({
      exec: user.exec!,
      cluster: context.cluster,
      caData: ca?.toString(),
      timeoutMs: options.pluginTimeoutMs,
      signal: lifetime.signal,
    });
    plugin = { credential, until: expiryOf(credential) };
    return credential;
  };

  const load = async (): Promise<Credentials> => {
    const given = await (await provide())();
    const headers: OutgoingHttpHeaders = { ...(given.headers as OutgoingHttpHeaders), ...impersonation(user) };
    const tls: Omit<TlsMaterial, "secureContext"> = {};
    if (given.ca) tls.ca = given.ca as Pem;
    if (given.cert) tls.cert = given.cert as Pem;
    if (given.key) tls.key = given.key as Pem;
    if (given.servername) tls.servername = given.servername;
    if (given.rejectUnauthorized !== undefined) tls.rejectUnauthorized = given.rejectUnauthorized;
    if (given.auth) headers["Authorization"] = `Basic ${Buffer.from(given.auth).toString("base64")}`;
    // As kubectl: a token file is read anew and wins over the token beside it.
    if (user.tokenFile) headers["Authorization"] = `Bearer ${await readToken(user.tokenFile)}`;
    if (oidc) headers["Authorization"] = `Bearer ${await oidc.current(lifetime.signal)}`;
    if (user.exec) {
      const { token, clientCertificateData, clientKeyData } = await execCredential(tls.ca);
      if (token) headers["Authorization"] = `Bearer ${token}`;
      if (clientCertificateData && clientKeyData) {
        tls.cert = clientCertificateData;
        tls.key = clientKeyData;
      }
    }
    const known = cached?.credentials.tls;
    const credentials = {
      headers,
      tls: known && sameTls(known, tls) ? known : { ...tls, secureContext: secureContextOf(context, tls) },
    };
    cached = { credentials, until: Math.min(Date.now() + FILE_TTL_MS, plugin?.until ?? Number.POSITIVE_INFINITY) };
    return credentials;
  };

  const loadShared = (): Promise<Credentials> => {
    loading ??= load().finally(() => {
      loading = undefined;
    });
    return loading;
  };

  return {
    async current(signal) {
      if (cached && cached.until > Date.now()) return cached.credentials;
      return unlessAborted(loadShared(), signal);
    },
    async refresh(stale, signal) {
      if (!loading && cached?.credentials === stale) {
        cached.until = 0;
        plugin = undefined;
        oidc?.invalidate();
      }
      const fresh = cached && cached.until > Date.now() ? cached.credentials : await unlessAborted(loadShared(), signal);
      return same(fresh, stale) ? undefined : fresh;
    },
    close: () => lifetime.abort(kubeError("KUBE_CLOSED", "the cluster connection was closed")),
  };
}

/** client-node's reading of the user: certificates, tokens, basic auth, and the legacy auth providers. */
async function clientNodeOptions({ info, server, cluster, user }: ResolvedContext): Promise<() => Promise<RequestOptions>> {
  const KubeConfig = await loadKubeConfig();
  const kubeconfig = new KubeConfig();
  // Exec plugins, token files and OIDC are ours: they must not block, must end, and are read as kubectl reads them.
  const { exec: _exec, tokenFile: _tokenFile, "auth-provider": provider, ...rest } = user;
  // Where data and file are both given, kubectl takes the data and client-node the file.
  const { "certificate-authority": caFile, ...clusterRest } = cluster;
  const { "client-certificate": certFile, "client-key": keyFile, ...userRest } = rest;
  const config = {
    clusters: [
      {
        name: "cluster",
        cluster: {
          ...clusterRest,
          server: cluster.server,
          ...(!cluster["certificate-authority-data"] && caFile && { "certificate-authority": caFile }),
          // client-node refuses plain http without this flag; kubectl doesn't.
          ...(server.protocol === "http:" && { "insecure-skip-tls-verify": true }),
        },
      },
    ],
    users: [
      {
        name: "user",
        user: {
          ...userRest,
          ...(provider && provider.name !== "oidc" && { "auth-provider": provider }),
          ...(!user["client-certificate-data"] && certFile && { "client-certificate": certFile }),
          ...(!user["client-key-data"] && keyFile && { "client-key": keyFile }),
        },
      },
    ],
    contexts: [{ name: "context", context: { cluster: "cluster", user: "user" } }],
    "current-context": "context",
  };
  kubeconfig.loadFromString(JSON.stringify(config));
  return async () => {
    const options: RequestOptions = { headers: {} };
    try {
      await kubeconfig.applyToHTTPSOptions(options);
    } catch (cause) {
      const { path, message } = cause as NodeJS.ErrnoException;
      if (path !== undefined) {
        throw kubeError("KUBE_CONFIG_INVALID", `could not read ${path}, which context "${info.context}" names: ${message}`, {
          cause,
          details: { file: path },
        });
      }
      throw kubeError(
        "KUBE_UNAUTHORIZED",
        `auth provider ${provider?.name ?? "(none)"} of user "${info.user}" gave no credential: ${message}`,
        {
          cause,
          hint: "log in again with the tool that wrote this kubeconfig",
        },
      );
    }
    return options;
  };
}

/** The headers that client-node leaves out (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation). */
function impersonation(user: RawUser): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  if (user["as-uid"]) headers["Impersonate-Uid"] = user["as-uid"];
  if (user["as-groups"]?.length) headers["Impersonate-Group"] = [...user["as-groups"]];
  for (const [key, values] of Object.entries(user["as-user-extra"] ?? {})) {
    headers[`Impersonate-Extra-${encodeURIComponent(key)}`] = [...values];
  }
  return headers;
}

async function readToken(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw kubeError("KUBE_CONFIG_INVALID", `could not read the token file ${file}: ${(cause as Error).message}`, {
      cause,
      details: { file },
    });
  }
}

function secureContextOf({ info, sources }: ResolvedContext, { ca, cert, key }: Omit<TlsMaterial, "secureContext">): SecureContext {
  try {
    return createSecureContext({ ca, cert, key, minVersion: "TLSv1.2" });
  } catch (cause) {
    throw kubeError(
      "KUBE_CONFIG_INVALID",
      `the certificates or the key of context "${info.context}" (${sources.join(", ")}) can't be used: ${(cause as Error).message}`,
      { cause, hint: "certificate-authority, client-certificate and client-key must be PEM, and certificate and key a pair" },
    );
  }
}

function expiryOf({ expirationTimestamp }: ExecCredential): number {
  if (expirationTimestamp === undefined) return Number.POSITIVE_INFINITY;
  const expiry = Date.parse(expirationTimestamp);
  if (Number.isNaN(expiry)) return Number.POSITIVE_INFINITY;
  // Early enough for the request to arrive, yet a credential of a few seconds is still used.
  return expiry - Math.min(EXPIRY_LEEWAY_MS, Math.max(0, (expiry - Date.now()) / 10));
}

const sameTls = (a: Omit<TlsMaterial, "secureContext">, b: Omit<TlsMaterial, "secureContext">): boolean =>
  (["ca", "cert", "key"] as const).every((key) => String(a[key] ?? "") === String(b[key] ?? "")) &&
  a.servername === b.servername &&
  a.rejectUnauthorized === b.rejectUnauthorized;

const same = (a: Credentials, b: Credentials): boolean =>
  a === b || (sameTls(a.tls, b.tls) && JSON.stringify(a.headers) === JSON.stringify(b.headers));

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () =>
    (made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    }));
}

/** One caller's giving up doesn't end what others wait for too. */
function unlessAborted<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortError(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    shared.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
