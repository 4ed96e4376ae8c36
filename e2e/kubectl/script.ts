import { ACCESS } from "./chapters/access.ts";
import { APPLY } from "./chapters/apply.ts";
import { CHANGES } from "./chapters/changes.ts";
import { CREATE } from "./chapters/create.ts";
import { DELETION } from "./chapters/deletion.ts";
import { END } from "./chapters/end.ts";
import { JOBS } from "./chapters/jobs.ts";
import { NODES } from "./chapters/nodes.ts";
import { OBJECTS } from "./chapters/objects.ts";
import { OWNERSHIP } from "./chapters/ownership.ts";
import { PODS } from "./chapters/pods.ts";
import { REFUSALS } from "./chapters/refusals.ts";
import { ROLLOUTS } from "./chapters/rollouts.ts";
import { SERVER } from "./chapters/server.ts";
import type { Step } from "./step.ts";

/** In order: each step may build on those before it. */
export const SCRIPT: readonly Step[] = [
  ...SERVER,
  ...OBJECTS,
  ...REFUSALS,
  ...APPLY,
  ...PODS,
  ...CHANGES,
  ...CREATE,
  ...OWNERSHIP,
  ...ROLLOUTS,
  ...JOBS,
  ...ACCESS,
  ...NODES,
  ...DELETION,
  ...END,
];
