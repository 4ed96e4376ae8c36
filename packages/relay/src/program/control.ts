import { errorToJson, hasCode } from "@shipside/core";
import { CONTROL_PATHS, type RelayStatus } from "../protocol.ts";
import type { ControlAnswer } from "../wire/control.ts";
import type { Leases } from "./lease.ts";
import type { ControlRequest } from "./link.ts";

export interface ControlOptions {
  leases: Leases;
  status(): RelayStatus;
  /** Whether TLS of these ports can end here, where it is to; asked before a lease is made. */
  checkTls(ports: readonly number[]): Promise<void>;
  /** Restores, drains and removes; the answer doesn't wait for it. */
  end(): void;
}

/** The control API of {@link CONTROL_PATHS}, as `LinkHandlers.onRequest`. */
export function createControl({
  leases,
  status,
  checkTls,
  end,
}: ControlOptions): (request: ControlRequest) => Promise<ControlAnswer> {
  return async ({ client, method, path, query, body }) => {
    const id = path.startsWith(CONTROL_PATHS.leases) ? decodeURIComponent(path.slice(CONTROL_PATHS.leases.length)) : undefined;
    if (method === "GET" && path === CONTROL_PATHS.status) return { status: 200, body: status() };
    if (method === "POST" && path === CONTROL_PATHS.end) {
      end();
      return { status: 202, body: {} };
    }
    if (id && method === "DELETE") return { status: leases.delete(id) ? 200 : 404, body: {} };
    if (!id || method !== "PUT")
      return { status: 404, body: { code: "RELAY_REQUEST_FAILED", message: `${method} ${path} is unknown` } };
    try {
      if (!leases.get(id)) await checkTls(portsOf(body));
      return { status: 200, body: leases.put(client, id, body, { takeOver: query.has("take-over") }) };
    } catch (error) {
      return { status: hasCode(error, "LEASE_TAKEN") ? 409 : 400, body: errorToJson(error) };
    }
  };
}

/** What isn't of that form is refused afterwards. */
const portsOf = (body: unknown): readonly number[] => {
  const { ports } = (body ?? {}) as { ports?: unknown };
  return Array.isArray(ports) ? ports : [];
};
