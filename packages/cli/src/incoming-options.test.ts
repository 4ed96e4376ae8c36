import { errorToJson } from "@shipside/core";
import { previewSession } from "@shipside/daemon";
import { describe, expect, test } from "vitest";
import { incomingOptions } from "./incoming-options.ts";
import { parse } from "./parse.ts";

/** As the command line is read, up to where a cluster would be asked. */
async function read(line: string) {
  const { spec, invocation } = await parse(line.match(/'[^']*'|\S+/g)!.map((word) => word.replaceAll("'", "")));
  const options = incomingOptions(spec.name as "expose" | "intercept", invocation);
  const failed = await previewSession({ ...options, kubeconfig: "/nowhere" }).then(
    () => undefined,
    (error: unknown) => errorToJson(error),
  );
  return { options, failed };
}

describe("what is said is what is meant", () => {
  test.each<[string, object]>([
    ["intercept service/core", { intercept: { service: "core" } }],
    [
      "intercept svc core -r 3020 -l 8080 -x 'x-user: alice'",
      { intercept: { service: "core", ports: ["3020:8080"], match: { headers: ["x-user: alice"] } } },
    ],
    ["intercept core --all --tcp", { intercept: { service: "core", match: { all: true }, tcp: true } }],
    [
      "intercept core -p 80 -p http:81 --hold 1.5 --grace 5",
      { intercept: { ports: ["80", "http:81"], holdMs: 1500, graceSeconds: 5 } },
    ],
    [
      "intercept core --path '/a*' --method get --method put --baggage k=v --user",
      { intercept: { match: { path: "/a*", methods: ["get", "put"], baggage: ["k=v"], user: true } } },
    ],
    [`intercept ${"n".repeat(63)}`, { intercept: { service: "n".repeat(63) } }],
    [`expose ${"n".repeat(63)} -p web=80:8080 -p 53:5353/udp`, { expose: { ports: ["web=80:8080", "53:5353/udp"] } }],
    ["intercept core -r https -l 8080 --tls-secret web-tls", { intercept: { ports: ["https:8080"], tlsSecret: "web-tls" } }],
    ["expose hook -r 80 -l 8080", { expose: { service: "hook", ports: ["80:8080"] } }],
    ["expose hook --workload deployment/core", { expose: { service: "hook", workload: "deployment/core" } }],
  ])("%s", async (line, meant) => {
    const { options, failed } = await read(line);
    expect(options).toMatchObject(meant);
    // There is no cluster there: everything before that was right.
    expect(failed?.code).toMatch(/^KUBE/);
  });
});

describe("what can't be meant is said before anything is asked of a cluster", () => {
  test.each<[string, string, RegExp]>([
    ["intercept", "USAGE", /too few words/],
    ["intercept deployment/core", "USAGE", /is no Service/],
    ["intercept service core more", "USAGE", /what is "more"/],
    ["intercept service/", "USAGE", /is no Service/],
    ["intercept service/a/b", "USAGE", /is no Service/],
    ["intercept service/Core", "SESSION_OPTIONS", /"Core"/],
    ["intercept service/core_1", "SESSION_OPTIONS", /"core_1"/],
    [`intercept ${"n".repeat(64)}`, "SESSION_OPTIONS", /at most 63/],
    ["intercept core -l 8080", "USAGE", /no port is named/],
    ["intercept core -r", "USAGE", /-r|remote/],
    ["intercept core -r 0", "PROXY_OPTION_INVALID", /0 is no port/],
    ["intercept core -r 80 -l 65536", "PROXY_OPTION_INVALID", /65536 is no port/],
    ["intercept core -p 80:web", "PROXY_OPTION_INVALID", /80:web/],
    ["intercept core -p :8080", "PROXY_OPTION_INVALID", /:8080/],
    ["intercept core -p 80/sctp", "PROXY_OPTION_INVALID", /80\/sctp/],
    ["intercept core -p 80:1 -p 80:2", "SESSION_OPTIONS", /80\/tcp twice/],
    ["intercept core -r 80 -p 80", "SESSION_OPTIONS", /80\/tcp twice/],
    ["intercept core -x alice", "PROXY_OPTION_INVALID", /"alice" is no header/],
    ["intercept core -x 'x user: alice'", "PROXY_OPTION_INVALID", /is no header/],
    ["intercept core -x 'x-user~('", "PROXY_OPTION_INVALID", /no regular expression/],
    ["intercept core -x 'x-user~(?=a)'", "PROXY_OPTION_INVALID", /no regular expression that can be used here/],
    ["intercept core --path cart", "PROXY_OPTION_INVALID", /is no path/],
    ["intercept core --path '/a*b'", "PROXY_OPTION_INVALID", /is no path/],
    ["intercept core --path '/a?b=c'", "PROXY_OPTION_INVALID", /without the query/],
    ["intercept core --method 'GET IT'", "PROXY_OPTION_INVALID", /is no method/],
    ["intercept core --baggage user", "PROXY_OPTION_INVALID", /no entry of a baggage header/],
    ["intercept core --all -x 'a: b'", "PROXY_OPTION_INVALID", /--all takes every request/],
    ["intercept core --tcp", "SESSION_OPTIONS", /--tcp goes with --all/],
    ["intercept core --all --tcp --mirror", "SESSION_OPTIONS", /copies requests of HTTP/],
    ["intercept core --grace 0", "USAGE", /--grace "0"/],
    ["intercept core --grace soon", "USAGE", /no number of seconds/],
    ["intercept core --hold -1", "USAGE", /hold/],
    ["intercept core --workload deployment/x", "USAGE", /workload/],
    ["intercept core -- npm start", "USAGE", /runs no command/],
    ["expose", "USAGE", /too few words/],
    ["expose Web -p 80", "SESSION_OPTIONS", /"Web"/],
    ["expose web", "SESSION_OPTIONS", /ports.*are missing/],
    ["expose web -p Web=80", "PROXY_OPTION_INVALID", /"Web" is no port's name/],
    ["expose web -x 'a: b' -p 80", "USAGE", /x/],
  ])("%s", async (line, code, says) => {
    const failed = await read(line).then(
      ({ failed }) => failed,
      (error: unknown) => errorToJson(error),
    );
    expect(failed, JSON.stringify(failed)).toMatchObject({ code, message: expect.any(String), hint: expect.stringMatching(/./) });
    expect(`${failed?.message}\n${failed?.hint}`).toMatch(says);
  });
});
