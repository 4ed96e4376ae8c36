import type { ShipsideError } from "@shipside/core";
import { findObstacle, findProgram } from "@shipside/rootless";

/**
 * Why nobody gets namespaces here who hasn't asked for them: this machine forbids them, or nothing carries all of a command's traffic from
 * them to the rest of the world. Undefined where neither is so.
 */
export async function whyNotRootless(signal?: AbortSignal): Promise<ShipsideError | undefined> {
  const [obstacle, pasta, slirp4netns] = await Promise.all([
    findObstacle(signal ? { signal } : {}),
    ...(["pasta", "slirp4netns"] as const).map((name) =>
      findProgram(name).then(
        () => undefined,
        (error: ShipsideError) => error,
      ),
    ),
  ]);
  if (obstacle) return obstacle as ShipsideError;
  return pasta && slirp4netns;
}
