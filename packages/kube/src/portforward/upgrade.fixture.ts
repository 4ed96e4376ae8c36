import { request } from "node:http";
import { ShipsideError } from "@shipside/core";
import type { Upgrade } from "./carrier.ts";

/** An `Upgrade` over plain HTTP to a port of this machine. */
export function upgradeTo(port: () => number): Upgrade {
  return ({ method, path, headers, signal }) =>
    new Promise((resolve, reject) => {
      const asked = request({ host: "127.0.0.1", port: port(), method, path, headers, signal, agent: false });
      asked.on("upgrade", (response, socket, head) => {
        socket.on("error", () => {});
        resolve({ socket, head, headers: response.headers });
      });
      asked.on("response", (response) => {
        response.resume();
        reject(new ShipsideError("KUBE_SERVER_ERROR", `HTTP ${response.statusCode}`, { details: { status: response.statusCode } }));
      });
      asked.on("error", (cause) => reject(new ShipsideError("KUBE_UNREACHABLE", cause.message, { cause })));
      asked.end();
    });
}
