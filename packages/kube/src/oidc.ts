import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { kubeError } from "./errors.ts";

/** `auth-provider` config of the name "oidc" in a kubeconfig. */
export interface OidcConfig {
  "id-token"?: string;
  "refresh-token"?: string;
  "idp-issuer-url"?: string;
  "client-id"?: string;
  "client-secret"?: string;
  "idp-certificate-authority"?: string;
  "idp-certificate-authority-data"?: string;
}

/** The user's id token, refreshed at the issuer when it has ended. */
export interface OidcTokens {
  current(signal: AbortSignal): Promise<string>;
  /** The server refuses the token though it seems good. */
  invalidate(): void;
}

const TIMEOUT_MS = 15_000;
const MAX_ANSWER = 1 << 20;

/**
 * Ours, because client-node 2.0's doesn't work with the library it calls. What kubectl's does, but for writing new tokens to the
 * kubeconfig: they are held in memory. Rejects with `KUBE_UNAUTHORIZED`.
 */
export function createOidcTokens(config: OidcConfig, now: () => number = Date.now): OidcTokens {
  let idToken = config["id-token"];
  let refreshToken = config["refresh-token"];
  let refused = false;

  const refresh = async (signal: AbortSignal): Promise<string> => {
    const { "idp-issuer-url": issuer, "client-id": clientId, "client-secret": clientSecret = "" } = config;
    if (!issuer || !clientId || !refreshToken)
      throw failed("it has ended, and the kubeconfig has no refresh-token, client-id and idp-issuer-url");
    try {
      const ca = await authority(config);
      const root = issuer.replace(/\/+$/, "");
      const { token_endpoint } = await exchange(new URL(`${root}/.well-known/openid-configuration`), undefined, { ca, signal });
      if (typeof token_endpoint !== "string") throw new Error("the issuer names no token endpoint");
      const form = new URLSearchParams({ grant_type: "refresh_token", refresh_token: refreshToken, client_id: clientId });
      if (clientSecret !== "") form.set("client_secret", clientSecret);
      const answer = await exchange(new URL(token_endpoint), form.toString(), { ca, signal });
      if (typeof answer["id_token"] !== "string") throw new Error("the issuer's answer holds no id_token");
      if (typeof answer["refresh_token"] === "string") refreshToken = answer["refresh_token"];
      idToken = answer["id_token"];
      refused = false;
      return idToken;
    } catch (cause) {
      signal.throwIfAborted();
      throw failed(`it could not be refreshed at ${issuer}: ${(cause as Error).message}`, cause);
    }
  };
  return {
    async current(signal) {
      const ends = idToken === undefined ? 0 : (expiryOfJwt(idToken) ?? 0);
      return idToken !== undefined && !refused && ends > now() ? idToken : refresh(signal);
    },
    invalidate() {
      // Without the means to get another it is all there is.
      refused = refreshToken !== undefined;
    },
  };
}

/** When a JSON Web Token ends (RFC 7519 §4.1.4), in ms since the epoch; undefined where it doesn't say. */
function expiryOfJwt(token: string): number | undefined {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as { exp?: unknown };
    return typeof exp === "number" ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}

const failed = (why: string, cause?: unknown): Error =>
  kubeError("KUBE_UNAUTHORIZED", `the OIDC token of the kubeconfig can't be used: ${why}`, {
    hint: "log in again with the tool that wrote this kubeconfig",
    ...(cause !== undefined && { cause }),
  });

async function authority(config: OidcConfig): Promise<Buffer | undefined> {
  const data = config["idp-certificate-authority-data"];
  if (data) return Buffer.from(data, "base64");
  const file = config["idp-certificate-authority"];
  return file ? readFile(file) : undefined;
}

/** GET, or POST of a form (RFC 6749 §6); the answer's JSON. */
function exchange(
  url: URL,
  form: string | undefined,
  { ca, signal }: { ca: Buffer | undefined; signal: AbortSignal },
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    if (url.protocol !== "https:") return reject(new Error(`${url.origin} is not https`));
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const headers = {
      Accept: "application/json",
      ...(form !== undefined && { "Content-Type": "application/x-www-form-urlencoded" }),
    };
    const sent = request(
      url,
      { method: form === undefined ? "GET" : "POST", headers, signal: limit, agent: false, ...(ca && { ca }) },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > MAX_ANSWER) response.destroy(new Error("the answer is too long"));
        });
        response.on("error", reject);
        response.on("end", () => {
          try {
            const body = JSON.parse(text) as Record<string, unknown>;
            if (response.statusCode === 200) return resolve(body);
            reject(new Error(`HTTP ${response.statusCode}${typeof body["error"] === "string" ? ` (${body["error"]})` : ""}`));
          } catch (error) {
            reject(response.statusCode === 200 ? error : new Error(`HTTP ${response.statusCode}`));
          }
        });
      },
    );
    sent.on("error", reject);
    sent.end(form);
  });
}
