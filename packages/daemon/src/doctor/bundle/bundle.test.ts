import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runDoctor } from "../run.ts";
import { writeBundle } from "./bundle.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-bundle-"));
});
afterEach(() => rm(dir, { recursive: true }));

/** All that stands in an archive, by name. */
async function unpacked(archive: string): Promise<Map<string, string>> {
  const out = join(dir, "unpacked");
  await promisify(execFile)("python3", ["-m", "zipfile", "-e", archive, out]);
  const entries = (await readdir(out, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const read = async (path: string) => [path.slice(out.length + 1), await readFile(path, "utf8")] as const;
  return new Map(await Promise.all(entries.map((entry) => read(join(entry.parentPath, entry.name)))));
}

const KEY = `-----BEGIN PRIVATE KEY-----\n${"plantedkeylineone0123456789abcdef".repeat(2)}\nplantedkeylinetwo\n-----END PRIVATE KEY-----\n`;

describe("the archive", () => {
  test("has what helps, and none of the secrets that were planted everywhere", async () => {
    const planted = {
      token: "planted-user-token-77",
      password: "plantedpass",
      keyLine: "plantedkeylinetwo",
      execEnv: "planted-exec-env",
      execArg: "planted-exec-arg-1",
      provider: "planted-refresh-token",
      serverUrl: "plantedserverpw",
      proxyUrl: "planted%2Fproxypw",
      tokenFile: "planted-token-in-a-file",
      envToken: "planted-env-token",
      envProxy: "plantedenvproxy",
      logPassword: "plantedlogpw",
      logUnnamed: "plantedsessionvalue",
      // Of a Secret's data in a log, as it is and as it would be read.
      logData: Buffer.from("planteddata").toString("base64"),
    };
    const stateDir = join(dir, "state");
    const runtimeDir = join(dir, "run");
    await mkdir(join(stateDir, "journal"), { recursive: true });
    await mkdir(runtimeDir, { mode: 0o700 });
    await writeFile(join(dir, "token"), `${planted.tokenFile}\n`);
    const kubeconfig = join(dir, "kubeconfig");
    const context = (name: string, cluster: string, user: string) => ({ name, context: { cluster, user, namespace: "shop" } });
    await writeFile(
      kubeconfig,
      JSON.stringify({
        "current-context": "a",
        contexts: [
          context("a", "one", "token"),
          context("b", "two", "exec"),
          context("c", "one", "file"),
          context("d", "one", "gone"),
        ],
        clusters: [
          {
            name: "one",
            cluster: { server: `http://me:${planted.serverUrl}@127.0.0.1:1`, "proxy-url": `http://me:${planted.proxyUrl}@p:1` },
          },
          { name: "two", cluster: { server: "http://127.0.0.1:1" } },
        ],
        users: [
          {
            name: "token",
            user: {
              token: planted.token,
              username: "me",
              password: planted.password,
              "client-key-data": Buffer.from(KEY).toString("base64"),
              "auth-provider": { name: "oidc", config: { "refresh-token": planted.provider, "client-id": "public-client" } },
            },
          },
          {
            name: "exec",
            user: {
              exec: {
                command: "get-token",
                args: ["login", "--cluster-id", planted.execArg, `--key=${planted.execArg}`],
                env: [{ name: "SOME_SETTING", value: planted.execEnv }],
              },
            },
          },
          { name: "file", user: { tokenFile: "token" } },
        ],
      }),
    );
    // What nobody can know to be a secret is one only where it is named so.
    const { logPassword, logData, ...known } = planted;
    const everything = Object.values(known).join(" and ");
    const log = [
      `connecting with ${everything}`,
      `encoded: ${Buffer.from(planted.token).toString("base64")} ${encodeURIComponent(planted.password)}`,
      `{"level":"debug","body":{"kind":"Secret","data":{"x":"${logData}"}},"password":"${logPassword}"}`,
      `fetched ${JSON.stringify(KEY)}`,
      KEY,
      "an ordinary line",
    ].join("\n");
    await writeFile(join(stateDir, "daemon.log"), log);
    await writeFile(join(stateDir, "daemon.log.1"), log);
    await writeFile(join(stateDir, "addresses.json"), "{}");
    await writeFile(
      join(stateDir, "journal", "x.jsonl"),
      `${JSON.stringify({ op: "make", id: "1", kind: "x", data: { path: everything } })}\n`,
    );
    const env = {
      PATH: process.env["PATH"],
      MY_API_TOKEN: planted.envToken,
      HTTPS_PROXY: `http://me:${planted.envProxy}@proxy:3128`,
      SHIPSIDE_X: everything,
      UNRELATED: "unrelated-value",
    };

    // A session whose env has a secret, as a daemon tells it.
    const daemon = createServer((socket) => {
      socket.on("error", () => {}).write('{"shipside":{"protocol":1,"version":"1","pid":1,"kind":"daemon"}}\n');
      socket.on("data", (data) => {
        for (const line of String(data).trim().split("\n")) {
          const { id, method } = JSON.parse(line) as { id: number; method: string };
          const entry = {
            name: "PLAIN_LOOKING",
            value: planted.logUnnamed,
            sensitive: true,
            origin: { from: "secret", name: "s", key: "k" },
          };
          socket.write(
            `${JSON.stringify({ id, result: method === "session.env" ? [entry] : [{ id: "abc", services: [], workload: everything }] })}\n`,
          );
        }
      });
    }).listen(join(runtimeDir, "control.sock"));
    await once(daemon, "listening");

    const options = { kubeconfig, stateDir, runtimeDir, env };
    const report = await runDoctor(options);
    const { path, files } = await writeBundle(join(dir, "out.zip"), report, options);
    daemon.close();
    expect((await stat(path)).mode & 0o777).toBe(0o600);

    const contents = await unpacked(path);
    expect([...contents.keys()].sort()).toEqual([...files].sort());
    expect(files).toEqual(
      expect.arrayContaining(["README.txt", "doctor.json", "kubeconfig.json", "logs/daemon.log", "journals/x.jsonl"]),
    );
    const forms = Object.values(planted).flatMap((secret) => [
      secret,
      Buffer.from(secret).toString("base64"),
      decodeURIComponent(secret),
    ]);
    for (const [name, text] of contents)
      for (const form of [...forms, "plantedkeyline", "unrelated-value", "planteddata"])
        expect(text.includes(form), `${form} in ${name}`).toBe(false);

    // And it is still of use.
    const outline = JSON.parse(contents.get("kubeconfig.json")!);
    expect(outline).toMatchObject({ sources: [kubeconfig], currentContext: "a" });
    expect(outline.contexts[0]).toMatchObject({
      name: "a",
      namespace: "shop",
      cluster: { server: "http://***@127.0.0.1:1" },
      user: { token: "(set)" },
    });
    expect(outline.contexts[1].user.exec).toMatchObject({ command: "get-token", env: ["SOME_SETTING"] });
    expect(outline.contexts[3]).toMatchObject({ error: { code: "KUBE_CONFIG_INVALID" } });
    expect(JSON.parse(contents.get("doctor.json")!)).toMatchObject({ doctor: 1, worst: "problem", lines: expect.any(Array) });
    expect(JSON.parse(contents.get("versions.json")!).env.HTTPS_PROXY).toBe("http://***@proxy:3128");
    expect(contents.get("logs/daemon.log")).toContain("an ordinary line");
  });

  test("of a long log, the end", async () => {
    await writeFile(join(dir, "daemon.log"), `${"the beginning\n".repeat(100_000)}the end\n`);
    const report = await runDoctor({ kubeconfig: join(dir, "none") }, []);
    const { path } = await writeBundle(join(dir, "out.zip"), report, {
      kubeconfig: join(dir, "none"),
      stateDir: dir,
      runtimeDir: dir,
    });
    const log = (await unpacked(path)).get("logs/daemon.log")!;
    expect(log).toMatch(/^\(the last 1024 KiB of 1367\)\nthe beginning\n/);
    expect(log.endsWith("the end\n")).toBe(true);
  });

  test("a place that can't be written", async () => {
    const report = await runDoctor({ kubeconfig: join(dir, "none") }, []);
    await expect(writeBundle(join(dir, "no", "such", "x.zip"), report, { stateDir: dir, runtimeDir: dir })).rejects.toMatchObject({
      code: "BUNDLE_UNWRITABLE",
    });
  });
});
