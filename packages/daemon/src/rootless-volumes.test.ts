import { expect, test } from "vitest";
import { showOrder } from "./rootless-volumes.ts";

const volume = (mountPath: string, readOnly = false) => ({ localPath: `/tmp/v${mountPath}`, mountPath, readOnly });
const shown = (mountPath: string, readOnly = false) => ({ source: `/tmp/v${mountPath}`, target: mountPath, readOnly });

test("the outer one of nested paths is shown first", () => {
  const volumes = [volume("/data/inner", true), volume("/etc/core"), volume("/data")];
  expect(showOrder(volumes, () => false)).toEqual([shown("/data"), shown("/etc/core"), shown("/data/inner", true)]);
});

test("what covers them all is shown last, with what is in it", () => {
  const volumes = [volume("/tmp"), volume("/data"), volume("/tmp/cache", true), volume("/tmpfiles")];
  expect(showOrder(volumes, (path) => path === "/tmp")).toEqual([
    shown("/data"),
    shown("/tmpfiles"),
    { source: "/tmp/v/tmp/cache", target: "/tmp/v/tmp/cache", readOnly: true },
    shown("/tmp"),
  ]);
});
