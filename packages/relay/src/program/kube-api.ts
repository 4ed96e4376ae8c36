import { readFileSync } from "node:fs";
import { Agent, request as send } from "node:https";
import { join } from "node:path";
import { relayError } from "../errors.ts";

/** The API server, as the relay's ServiceAccount may talk to it. */
export interface KubeApi {
  /**
   * One request; the answer's JSON. Rejects with `RELAY_REQUEST_FAILED` (details: `status`, 0 where there was no answer) for everything but
   * 2xx.
   */
  request(method: string, path: string, options?: { body?: unknown; contentType?: string; signal?: AbortSignal }): Promise<unknown>;
}

const REQUEST_MS = 10_000;

/**
 * By the token and the authority's certificate that stand beside the program, where the manifest puts them for a relay that may do
 * anything; undefined for one that may not. The token is read anew for each request: the kubelet rotates it.
 */
export function inClusterApi(directory: string, env: NodeJS.ProcessEnv): KubeApi | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  const read = (name: string): string | undefined => {
    try {
      return readFileSync(join(directory, name), "utf8");
    } catch {
      return undefined;
    }
  };
  const ca = read("ca.crt");
  if (!host || ca === undefined || read("token") === undefined) return undefined;
  const agent = new Agent({ keepAlive: false, ca });

  return {
    request: (method, path, { body, contentType = "application/json", signal } = {}) =>
      new Promise((resolve, reject) => {
        const failed = (status: number, why: string, cause?: unknown): void =>
          reject(relayError("RELAY_REQUEST_FAILED", `${method} ${path}: ${why}`, { details: { status }, cause }));
        const text = body === undefined ? undefined : JSON.stringify(body);
        const request = send(
          {
            ...{ host, port, method, path, agent, timeout: REQUEST_MS },
            headers: {
              authorization: `Bearer ${read("token")?.trim()}`,
              accept: "application/json",
              "user-agent": "shipside-relay",
              ...(text !== undefined && { "content-type": contentType, "content-length": Buffer.byteLength(text) }),
            },
            ...(signal && { signal }),
          },
          (response) => {
            const parts: Buffer[] = [];
            response.on("data", (chunk: Buffer) => parts.push(chunk));
            response.on("error", (error) => failed(0, error.message, error));
            response.on("end", () => {
              const status = response.statusCode ?? 0;
              const answer = Buffer.concat(parts).toString();
              try {
                const value = JSON.parse(answer) as { message?: string };
                if (status >= 200 && status < 300) resolve(value);
                else failed(status, value.message ?? `the API server answered ${status}`);
              } catch (cause) {
                failed(status, `the API server answered ${status} with what isn't JSON`, cause);
              }
            });
          },
        );
        request.on("timeout", () => request.destroy(new Error(`no answer within ${REQUEST_MS / 1000} s`)));
        request.on("error", (error) => failed(0, error.message, error));
        request.end(text);
      }),
  };
}
