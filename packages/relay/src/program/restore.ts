import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@shipside/core";
import { disownPatch, FIELD_MANAGER, type FieldOwner } from "../field-owners.ts";
import { INTERCEPT_ANNOTATION, type RelayConfig } from "../protocol.ts";
import { sameSelector } from "../selector.ts";
import type { KubeApi } from "./kube-api.ts";

interface Service {
  metadata: { uid: string; resourceVersion: string; annotations?: Record<string, string> };
  spec: { selector?: Record<string, string> };
}

/** How long to wait between attempts while the API server doesn't do it, in ms. */
const WAIT = { first: 200, most: 10_000 };

/** `left`: there was nothing of ours to undo. `given-up`: the signal fired first. */
export type Restored = "restored" | "left" | "given-up";

/**
 * Gives the Service its selector back, if it is the same Service and still has the one that we switched it to; any other is somebody else's
 * decision. Whatever replica does it, and however many at once: the patch tests what it was decided by, and a loser finds it done. Tried
 * until then, also while the API server is away.
 */
export async function restoreService(api: KubeApi, config: RelayConfig, logger: Logger, signal: AbortSignal): Promise<Restored> {
  const record = config.switch;
  if (!record) return "left";
  const path = `/api/v1/namespaces/${config.namespace}/services/${record.service}`;
  for (let wait = WAIT.first; !signal.aborted; ) {
    try {
      const { metadata, spec } = (await api.request("GET", path, { signal })) as Service;
      if (metadata.uid !== record.uid || !sameSelector(spec.selector, record.switched)) {
        logger.info("the Service is left as it is: its selector isn't ours", { service: record.service });
        return "left";
      }
      const key = INTERCEPT_ANNOTATION.replaceAll("~", "~0").replaceAll("/", "~1");
      const patch = [
        { op: "test", path: "/metadata/uid", value: metadata.uid },
        { op: "test", path: "/metadata/resourceVersion", value: metadata.resourceVersion },
        { op: "replace", path: "/spec/selector", value: record.original },
        ...(metadata.annotations?.[INTERCEPT_ANNOTATION] === undefined
          ? []
          : [{ op: "remove", path: `/metadata/annotations/${key}` }]),
      ];
      const restored = await patchService(api, path, patch, signal);
      logger.info("the Service has its selector back", { service: record.service });
      await disown(api, path, restored, ownersOf(metadata.annotations?.[INTERCEPT_ANNOTATION]), signal).catch((error: Error) =>
        logger.warn("the selector's field managers could not be given it back", { error: error.message }),
      );
      return "restored";
    } catch (error) {
      if (signal.aborted) break;
      const status = (error as { details?: { status?: number } }).details?.status;
      if (status === 404) return "left";
      const changed = status === 409 || status === 422;
      logger.warn("the Service could not be given its selector back yet", { service: record.service, status });
      await sleep(changed ? WAIT.first / 2 : wait, undefined, { signal }).catch(() => {});
      wait = changed ? WAIT.first : Math.min(wait * 2, WAIT.most);
    }
  }
  return "given-up";
}

const patchService = (api: KubeApi, path: string, patch: object, signal: AbortSignal): Promise<unknown> =>
  api.request("PATCH", `${path}?fieldManager=${FIELD_MANAGER}`, {
    body: patch,
    contentType: "application/json-patch+json",
    signal,
  });

/** Once more where somebody wrote in between: what others say of the Service counts more than whose field it is. */
async function disown(
  api: KubeApi,
  path: string,
  restored: unknown,
  owners: readonly FieldOwner[],
  signal: AbortSignal,
): Promise<void> {
  const once = async (service: object): Promise<void> => {
    const patch = disownPatch(service, owners);
    if (patch) await patchService(api, path, patch, signal);
  };
  await once(restored as Service).catch(async () => once((await api.request("GET", path, { signal })) as Service));
}

/** As they stand in the record of who switched it. */
function ownersOf(annotation: string | undefined): FieldOwner[] {
  try {
    const { owners } = JSON.parse(annotation ?? "{}") as { owners?: unknown };
    return Array.isArray(owners) ? owners.filter((each) => typeof each === "object" && each !== null) : [];
  } catch {
    return [];
  }
}
