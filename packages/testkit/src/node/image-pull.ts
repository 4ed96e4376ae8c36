import { createBackoff } from "./backoff.ts";
import { type ImageRuntime, resolveImage } from "./images.ts";
import type { NodeContext } from "./node-context.ts";
import { pause } from "./pause.ts";

export interface ImagePull {
  context: NodeContext;
  /** As the spec names it now. */
  image(): string;
  /** `imagePullPolicy: Never`: what isn't there isn't looked for elsewhere. */
  never: boolean;
  signal: AbortSignal;
  /** Resolves when something else is worth another try. */
  news(): Promise<void>;
  event(type: "Normal" | "Warning", reason: string, message: string): void;
  /** Why the container waits. */
  waiting(reason: string, message: string): void;
  /** What the container's status says of its image; no id where there is none. */
  found(image: string, imageID?: string): void;
}

/** Looks for what runs an image, again and again; undefined where it is stopped before. */
export async function pullImage(pull: ImagePull): Promise<ImageRuntime | undefined> {
  const { context, signal, event, waiting } = pull;
  const backoff = createBackoff(context.pullBackoff);
  while (!signal.aborted) {
    const image = pull.image();
    const result = resolveImage(image, context.images);
    if (result.ok) {
      pull.found(result.reference, `${result.reference.split(":")[0]}@shipside`);
      event("Normal", "Pulled", `Container image "${image}" already present on machine and can be accessed by the pod`);
      return result.runtime;
    }
    pull.found(image ?? "");
    if (result.reason === "InvalidImageName") {
      event("Warning", "InspectFailed", result.message);
      event("Warning", "Failed", "Error: InvalidImageName");
      waiting("InvalidImageName", result.message);
      await pause(context.pullBackoff.maxMs, signal, pull.news());
      continue;
    }
    if (pull.never) {
      const message = `Container image "${image}" is not present with pull policy of Never`;
      event("Warning", "ErrImageNeverPull", message);
      event("Warning", "Failed", "Error: ErrImageNeverPull");
      waiting("ErrImageNeverPull", message);
      await pause(context.pullBackoff.maxMs, signal, pull.news());
      continue;
    }
    event("Normal", "Pulling", `Pulling image "${image}"`);
    event("Warning", "Failed", `Failed to pull image "${image}": ${result.message}`);
    event("Warning", "Failed", "Error: ErrImagePull");
    waiting("ErrImagePull", result.message);
    const ms = backoff.next(0) || backoff.next(0);
    // The first sight is the error itself, then that the next try is being put off.
    if (!(await pause(Math.min(ms, context.pullBackoff.baseMs) / 2, signal))) return undefined;
    event("Normal", "BackOff", `Back-off pulling image "${image}"`);
    event("Warning", "Failed", "Error: ImagePullBackOff");
    waiting("ImagePullBackOff", `Back-off pulling image "${image}": ErrImagePull: ${result.message}`);
    await pause(ms, signal);
  }
  return undefined;
}
