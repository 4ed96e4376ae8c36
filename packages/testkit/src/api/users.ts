import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Store } from "../store.ts";
import { unauthorized } from "./status.ts";

export interface UserInfo {
  username: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

export interface TokenRequest {
  namespace: string;
  serviceAccount: string;
  uid: string;
  audiences: readonly string[];
  /** Seconds. */
  lifetime: number;
  bound?: { kind: string; apiVersion: string; name: string; uid: string };
}

export interface Authenticator {
  /** Throws Status 401. */
  authenticate(request: IncomingMessage): UserInfo;
  /** The user of a bearer token and what it was issued for, or undefined. */
  token(token: string): { user: UserInfo; audiences: readonly string[] } | undefined;
  addToken(token: string, user: Omit<UserInfo, "groups"> & { groups?: readonly string[] }): void;
  /** Every credential of this user is refused from now on (`on` false takes it back). */
  expire(username: string, on?: boolean): void;
  /** A signed token of a service account, as TokenRequest gives. */
  issue(request: TokenRequest): { token: string; expires: Date };
}

export const ISSUER = "https://kubernetes.default.svc.cluster.local";
const AUTHENTICATED = "system:authenticated";

const withGroups = (user: Omit<UserInfo, "groups"> & { groups?: readonly string[] }): UserInfo => ({
  ...user,
  groups: [...new Set([...(user.groups ?? []), AUTHENTICATED])],
});

export const serviceAccountUser = (namespace: string, name: string, uid?: string): UserInfo =>
  withGroups({
    username: `system:serviceaccount:${namespace}:${name}`,
    ...(uid !== undefined && { uid }),
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`],
  });

export function createAuthenticator(store: Store, now: () => number = Date.now): Authenticator {
  const tokens = new Map<string, UserInfo>();
  const refused = new Set<string>();
  const secret = randomBytes(32);
  const certificates = new WeakMap<TLSSocket, UserInfo | undefined>();
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signature = (text: string): Buffer => createHmac("sha256", secret).update(text).digest();

  const fromCertificate = (socket: TLSSocket): UserInfo | undefined => {
    if (!certificates.has(socket)) {
      const subject = socket.authorized ? socket.getPeerCertificate().subject : undefined;
      const organizations = subject?.O as string | string[] | undefined;
      const groups = organizations === undefined ? [] : Array.isArray(organizations) ? organizations : [organizations];
      const username = [subject?.CN].flat()[0];
      certificates.set(socket, username ? withGroups({ username, groups }) : undefined);
    }
    return certificates.get(socket);
  };

  const fromServiceAccount = (token: string): { user: UserInfo; audiences: readonly string[] } | undefined => {
    const [head, body, sign, more] = token.split(".");
    if (!head || !body || !sign || more !== undefined) return undefined;
    const given = Buffer.from(sign, "base64url");
    const expected = signature(`${head}.${body}`);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as {
      aud: string[];
      exp: number;
      jti: string;
      "kubernetes.io": {
        namespace: string;
        serviceaccount: { name: string; uid: string };
        pod?: { name: string; uid: string };
      };
    };
    if (claims.exp * 1000 <= now()) return undefined;
    const { namespace, serviceaccount, pod } = claims["kubernetes.io"];
    if (store.get("serviceaccounts", namespace, serviceaccount.name)?.metadata.uid !== serviceaccount.uid) return undefined;
    if (pod && store.get("pods", namespace, pod.name)?.metadata.uid !== pod.uid) return undefined;
    const user = serviceAccountUser(namespace, serviceaccount.name, serviceaccount.uid);
    const extra: Record<string, readonly string[]> = {
      "authentication.kubernetes.io/credential-id": [`JTI=${claims.jti}`],
      ...(pod && { "authentication.kubernetes.io/pod-name": [pod.name], "authentication.kubernetes.io/pod-uid": [pod.uid] }),
    };
    return { user: { ...user, extra }, audiences: claims.aud };
  };

  const token: Authenticator["token"] = (text) => {
    const user = tokens.get(text);
    const found = user ? { user, audiences: [ISSUER] } : fromServiceAccount(text);
    return found && !refused.has(found.user.username) ? found : undefined;
  };

  return {
    token,
    authenticate(request) {
      const socket = request.socket as TLSSocket;
      const certificate = fromCertificate(socket);
      if (certificate) {
        if (refused.has(certificate.username)) throw unauthorized();
        return certificate;
      }
      const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? webSocketToken(request);
      const found = bearer === undefined ? undefined : token(bearer);
      if (!found?.audiences.includes(ISSUER)) throw unauthorized();
      return found.user;
    },
    addToken: (text, user) => void tokens.set(text, withGroups(user)),
    expire: (username, on = true) => void (on ? refused.add(username) : refused.delete(username)),
    issue(request) {
      const seconds = Math.floor(now() / 1000);
      const head = encode({ alg: "HS256", kid: "embedded" });
      const body = encode({
        aud: request.audiences.length > 0 ? request.audiences : [ISSUER],
        exp: seconds + request.lifetime,
        iat: seconds,
        iss: ISSUER,
        jti: randomUUID(),
        "kubernetes.io": {
          namespace: request.namespace,
          serviceaccount: { name: request.serviceAccount, uid: request.uid },
          ...(request.bound && { [request.bound.kind.toLowerCase()]: { name: request.bound.name, uid: request.bound.uid } }),
        },
        nbf: seconds,
        sub: `system:serviceaccount:${request.namespace}:${request.serviceAccount}`,
      });
      return {
        token: `${head}.${body}.${signature(`${head}.${body}`).toString("base64url")}`,
        expires: new Date((seconds + request.lifetime) * 1000),
      };
    },
  };
}

/** A browser can set no header on a WebSocket: the token may come as a subprotocol. */
function webSocketToken(request: IncomingMessage): string | undefined {
  const protocols = request.headers["sec-websocket-protocol"]?.split(/, */) ?? [];
  const prefix = "base64url.bearer.authorization.k8s.io.";
  const found = protocols.find((protocol) => protocol.startsWith(prefix));
  return found && Buffer.from(found.slice(prefix.length), "base64url").toString();
}
