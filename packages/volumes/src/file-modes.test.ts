import type { PodSpec } from "@shipside/kube";
import { expect, it } from "vitest";
import { fileModes } from "./file-modes.ts";

const spec = (ofPod: object, ...containers: object[]): PodSpec =>
  ({
    securityContext: ofPod,
    containers: containers.map((securityContext, at) => ({ name: `c${at}`, securityContext })),
  }) as PodSpec;

it("a token is for the one user that all containers have, or for the fsGroup; else as the volume says", () => {
  expect(fileModes(spec({}, {})).made).toBeUndefined();
  expect(fileModes(spec({ runAsUser: 5 }, {}, {})).made).toBe(0o600);
  expect(fileModes(spec({ runAsUser: 5 }, {}, { runAsUser: 6 })).made).toBeUndefined();
  expect(fileModes(spec({}, { runAsUser: 5 }, {})).made).toBeUndefined();
  expect(fileModes({ ...spec({}, { runAsUser: 5 }), initContainers: [{ name: "init" }] }).made).toBeUndefined();
  const shared = fileModes(spec({ fsGroup: 7 }, {}));
  expect(shared.of(shared.made!)).toBe(0o640);
});

it("an fsGroup may read what was closed, and changes nothing else", () => {
  expect([0o400, 0o644, 0o755].map(fileModes(spec({ fsGroup: 7 }, {})).of)).toEqual([0o440, 0o644, 0o755]);
  expect([0o400, 0o644, 0o755].map(fileModes(spec({ runAsUser: 7 }, {})).of)).toEqual([0o400, 0o644, 0o755]);
});
