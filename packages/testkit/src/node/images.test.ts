import { describe, expect, it } from "vitest";
import { BUILT_IN_IMAGES, containerArgv, resolveImage } from "./images.ts";

describe("images", () => {
  it.each([
    ["node", "docker.io/library/node:latest"],
    ["node:24-alpine", "docker.io/library/node:24-alpine"],
    ["docker.io/library/node:24", "docker.io/library/node:24"],
    ["localhost:5000/team/node:1", "localhost:5000/team/node:1"],
    ["team/node", "docker.io/team/node:latest"],
    ["registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"],
  ])("%s is %s", (image, reference) => expect(resolveImage(image, BUILT_IN_IMAGES)).toMatchObject({ ok: true, reference }));

  it.each(["", "UPPER", "a b", ":tag", undefined])("%j isn't an image's name", (image) => {
    expect(resolveImage(image, BUILT_IN_IMAGES)).toMatchObject({ ok: false, reason: "InvalidImageName" });
  });

  it("tells of an image that nothing here runs", () => {
    const result = resolveImage("nginx:1.27", BUILT_IN_IMAGES);
    expect(result).toMatchObject({ ok: false, reason: "ErrImagePull" });
    expect(JSON.stringify(result)).toContain("docker.io/library/nginx:1.27");
  });
});

describe("a container's words", () => {
  const { node, busybox } = BUILT_IN_IMAGES;
  const argv = (runtime = node!, command?: string[], args?: string[]) =>
    containerArgv(runtime, command, args, (word) => word === "sh");
  it.each([
    [argv(node, ["node", "x.js"], ["--flag"]), ["node", "x.js", "--flag"]],
    [argv(node, undefined, ["x.js"]), ["node", "x.js"]],
    [argv(node, undefined, ["--version"]), ["node", "--version"]],
    [argv(node, undefined, ["sh", "-c", "true"]), ["sh", "-c", "true"]],
    [argv(node), ["node"]],
    [argv(busybox), ["sh"]],
    [argv(busybox, undefined, ["ls", "-l"]), ["ls", "-l"]],
  ])("%j", (words, expected) => expect(words).toEqual(expected));
});
