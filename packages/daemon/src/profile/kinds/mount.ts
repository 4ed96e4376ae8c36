import type { SessionMountOptions } from "../../session-info.ts";
import { text } from "../fields.ts";
import type { ProfileKind } from "../kinds.ts";
import { ENTRY, MOUNT, MOUNT_NEEDS, WHERE } from "../parts.ts";

export const mountKind: ProfileKind = {
  list: "mounts",
  describe: "Workloads' volumes as local folders.",
  shape: {
    type: "object",
    describe: "One workload's volumes under one folder.",
    fields: {
      ...ENTRY,
      ...WHERE,
      workload: text("As kubectl takes it: statefulset/database."),
      container: text("Whose mounts, where the pod has several containers."),
      ...MOUNT,
      relayImage: text("What the relay of a drive runs in: a Node of 22 or later."),
    },
    required: ["workload", "path"],
    needs: MOUNT_NEEDS,
  },
  title: ({ workload, path }) => `${workload} at ${path}`,
  session: ({ workload, container, name, path, only, readOnly, from, driver, ignore, relayImage }, where) => ({
    ...where,
    kind: "mount",
    workload: workload as string,
    mount: mountOptions({ path, only, readOnly, from, driver, ignore }),
    ...(relayImage !== undefined && { relayImage: relayImage as string }),
    ...(container !== undefined && { container: container as string }),
    ...(name !== undefined && { name: name as string }),
  }),
};

/** The file calls the folder `path`, as it does every file. */
export function mountOptions({ path, ...others }: Record<string, unknown>): SessionMountOptions {
  const given = Object.entries(others).filter(([, value]) => value !== undefined);
  return { dir: path as string, ...Object.fromEntries(given) };
}
