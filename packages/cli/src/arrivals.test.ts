import { expect, test } from "vitest";
import { arrivalSessions } from "./arrivals.ts";
import { parse } from "./parse.ts";
import { sessionOptions } from "./session-options.ts";

async function read(line: string) {
  const { invocation } = await parse(line.split(" "));
  return arrivalSessions(invocation, sessionOptions("teleport", invocation, { KUBECONFIG: "/k" }));
}

const where = { kubeconfig: "/k", namespace: "shop" };

test.each<[string, object[]]>([
  ["teleport core -n shop", []],
  [
    "run core -n shop --intercept core:3020:8080 -x x-user:alice --hold 2",
    [
      {
        ...{ ...where, kind: "intercept" },
        intercept: { service: "core", ports: ["3020:8080"], match: { headers: ["x-user:alice"] }, holdMs: 2000 },
      },
    ],
  ],
  [
    "teleport core -n shop --intercept svc/core:http:8080 --intercept leaf --intercept core:9:10 --all --image node:24",
    [
      {
        ...{ ...where, kind: "intercept" },
        intercept: { service: "core", ports: ["http:8080", "9:10"], match: { all: true }, image: "node:24" },
      },
      { ...where, kind: "intercept", intercept: { service: "leaf", match: { all: true }, image: "node:24" } },
    ],
  ],
  [
    "run core -n shop --expose hook:80:8080 --expose hook:53:53/udp",
    [{ ...where, kind: "expose", expose: { service: "hook", ports: ["80:8080", "53:53/udp"] } }],
  ],
])("%s", async (line, sessions) => {
  expect(await read(line)).toEqual(sessions);
});

test.each([
  ["run core --path /a", /--path is of --intercept/],
  ["run core --expose hook:80 --all", /--all is of --intercept/],
  ["run core --expose hook", /--expose hook says no port/],
  ["run core --intercept deployment/core:80", /is no Service/],
  ["run core --intercept :80", /is no Service/],
])("%s is a mistake", async (line, says) => {
  await expect(read(line)).rejects.toMatchObject({ code: "USAGE", message: says });
});
