import type { SessionEnvOptions } from "../../session-info.ts";
import { text } from "../fields.ts";
import type { ProfileKind } from "../kinds.ts";
import { ENTRY, ENV, FORMAT, WHERE } from "../parts.ts";

export const envFileKind: ProfileKind = {
  list: "envFiles",
  describe: "Workloads' environments in files, kept current and removed at the end.",
  shape: {
    type: "object",
    describe: "One workload's env in one file.",
    fields: {
      ...ENTRY,
      ...WHERE,
      workload: text("As kubectl takes it: deployment/core."),
      container: text("Whose env, where the pod has several containers."),
      file: text("The file.", { path: true }),
      format: FORMAT,
      env: ENV,
    },
    required: ["workload", "file"],
  },
  title: ({ workload }) => String(workload),
  session: ({ workload, container, file, format, env, name }, where) => ({
    ...where,
    kind: "env",
    workload: workload as string,
    envFile: { path: file as string, ...(format !== undefined && { format: format as string }) },
    ...(container !== undefined && { container: container as string }),
    ...(env !== undefined && { env: env as SessionEnvOptions }),
    ...(name !== undefined && { name: name as string }),
  }),
};
