import type { SessionEnvOptions } from "../../session-info.ts";
import { list, text } from "../fields.ts";
import type { ProfileKind } from "../kinds.ts";
import { CAPTURE, ENTRY, ENV, FORMAT, MOUNT, MOUNT_NEEDS, namespaceField, SERVICES, WHERE } from "../parts.ts";
import { mountOptions } from "./mount.ts";

export const teleportKind: ProfileKind = {
  list: "teleports",
  describe: "Services by name, and a workload's env.",
  shape: {
    type: "object",
    describe: "One teleport.",
    fields: {
      ...ENTRY,
      ...WHERE,
      workload: text("As kubectl takes it: deployment/core. Without one, the namespace's services alone."),
      container: text("Whose env, where the pod has several containers."),
      also: list("Further namespaces.", namespaceField("A namespace.")),
      services: SERVICES,
      envFile: {
        type: "text or object",
        describe: "A file for the workload's env, kept current and removed at the end.",
        short: "path",
        object: {
          type: "object",
          describe: "A file and its form.",
          fields: { path: text("The file.", { path: true }), format: FORMAT },
          required: ["path"],
        },
      },
      env: ENV,
      mount: {
        type: "text or object",
        describe: "A folder for the workload's volumes, whose path the env has as SHIPSIDE_ROOT.",
        short: "path",
        object: {
          type: "object",
          describe: "A folder, and what of the volumes.",
          fields: MOUNT,
          required: ["path"],
          needs: MOUNT_NEEDS,
        },
      },
      via: text("How services are reached. Default: port-forward, and a relay for what that can't do.", {
        oneOf: ["relay", "port-forward"],
      }),
      remoteHosts: list("host:port of what only the cluster can reach.", text("Such as db.internal:5432.")),
      relayImage: text("What a relay runs in: a Node of 22 or later."),
      ...CAPTURE,
    },
    needs: { container: "workload", envFile: "workload", env: "workload", mount: "workload" },
  },
  title: ({ workload, namespace }) => String(workload ?? `namespace ${namespace ?? "of the context"}`),
  session: ({ workload, container, also, services, envFile, env, mount, via, remoteHosts, relayImage, capture, name }, where) => ({
    ...where,
    kind: "teleport",
    ...(workload !== undefined && { workload: workload as string }),
    ...(container !== undefined && { container: container as string }),
    ...(also !== undefined && { also: also as string[] }),
    ...(services !== undefined && { services: services as string[] }),
    ...(envFile !== undefined && { envFile: envFile as { path: string; format?: string } }),
    ...(env !== undefined && { env: env as SessionEnvOptions }),
    ...(mount !== undefined && { mount: mountOptions(mount as Record<string, unknown>) }),
    ...(via !== undefined && { via: via as "relay" | "port-forward" }),
    ...(remoteHosts !== undefined && { remoteHosts: remoteHosts as string[] }),
    ...(relayImage !== undefined && { relayImage: relayImage as string }),
    ...(capture !== undefined && { capture: capture as boolean }),
    ...(name !== undefined && { name: name as string }),
  }),
};
