import { expect, test } from "vitest";
import { compareRecords } from "./compare.ts";
import { normalise } from "./normalise.ts";
import { SCRIPT } from "./script.ts";

test("each step has a name of its own, by which it is compared", () => {
  const names = SCRIPT.map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

test("two records are compared step by step", () => {
  const real = "# a\none\ntwo\n\n# b\nsame\n\n# c\nx\ny\n\n# d\nconfigmap/openshift-service-ca.crt\n\n";
  const ours = "# a\none\nthree\n\n# b\nsame\n\n# c\ny\nx\n\n# d\n\n\n# e\nmore\n\n";
  expect(compareRecords("k", real, ours)).toEqual({
    steps: 5,
    differences: [
      { file: "k", step: "a", left: ["two"], right: ["three"] },
      { file: "k", step: "c", left: ["x", "y"], right: ["y", "x"] },
      { file: "k", step: "e", left: [], right: ["more"] },
    ],
  });
});

test.each([
  ['Server Version: version.Info{Major:"1", GitVersion:"v1.36.0", Compiler:"gc"}', "Server Version: {1.36}"],
  ["web 1/1 Running 0 5s 10.1.2.3 real <none> <none>", "web 1/1 Running 0 {age} {ip} {node} <none> <none>"],
  ["Forwarding from 127.0.0.1:4711 -> 8080", "Forwarding from {ip}:{port} -> 8080"],
  ["second NodePort 10.96.0.9 <none> 8080:31477/TCP 1s", "second NodePort {ip} <none> 8080:{node port}/TCP {age}"],
  ["Waiting for x\nWaiting for y\ndone\ndone", "done\ndone"],
  [`eyJhIjoxfQ.${Buffer.from('{"sub":1,"aud":2}').toString("base64url")}.c2ln`, "{token of aud, sub}"],
  ["E1123 04:41:16.462924 32283 prune.go:71] Deprecated", "E prune.go:71] Deprecated"],
  ["first\ntar: removing leading '/' from member names\nlast", "first\nlast"],
  [
    ' nodePort: 31234\n containerID: a://b\n resourceVersion: "7"',
    "nodePort: {node port}\n containerID: {container}\n resourceVersion: {version}",
  ],
  ["Warning Unexpected 3s (x2 over 1s) x", "Warning Unexpected {age} x"],
  ["tick */5 * * * * <none> False 0 <none> 1s", "tick */5 * * * * <none> False 0 <none> {age}"],
])("%s is normalised", (output, expected) => expect(normalise(output, "conformance-1")).toBe(expected));
