import type { Pod, PodController } from "@shipside/kube";
import { expect, test } from "vitest";
import { hopeless } from "./readiness.ts";

const failing = (message: string): PodController =>
  ({ metadata: { name: "r" }, spec: {}, status: { conditions: [{ type: "ReplicaFailure", status: "True", message }] } }) as never;
const waiting = (reason: string): Pod =>
  ({
    metadata: { name: "p" },
    spec: {},
    status: { containerStatuses: [{ state: { waiting: { reason, message: `said ${reason}` } } }] },
  }) as never;

test.each([
  [
    'pods "r-1" is forbidden: exceeded quota: small, requested: limits.cpu=1, used: limits.cpu=4, limited: limits.cpu=4',
    "RELAY_QUOTA",
  ],
  ['pods "r-1" is forbidden: maximum memory usage per Container is 128Mi, but limit is 256Mi', "RELAY_QUOTA"],
  ['pods "r-1" is forbidden: violates PodSecurity "restricted:latest": unrestricted capabilities', "RELAY_POD_REFUSED"],
  ['admission webhook "images.example.com" denied the request: node is not ours', "RELAY_POD_REFUSED"],
])("%s", (message, code) => {
  expect(hopeless(failing(message), [])).toEqual({ code, why: message });
});

test("an image that failed once may come; one that the kubelet backs off from won't", () => {
  expect(hopeless(undefined, [waiting("ContainerCreating")])).toBeUndefined();
  expect(hopeless(undefined, [waiting("ErrImagePull")])).toBeUndefined();
  expect(hopeless(undefined, [waiting("ImagePullBackOff")])?.code).toBe("RELAY_IMAGE_UNAVAILABLE");
  expect(hopeless(undefined, [waiting("CrashLoopBackOff")])?.code).toBe("RELAY_NOT_READY");
});
