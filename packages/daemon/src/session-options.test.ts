import fc from "fast-check";
import { expect, test } from "vitest";
import { checkSessionOptions, sessionKey } from "./session-options.ts";

const where = { context: "dev", cluster: "dev", user: "me", server: "https://dev:6443", namespace: "sample" };

test("what is given is taken, what is unknown is dropped", () => {
  const options = { workload: "deploy/core", also: ["b", "a", "b"], envFile: { path: "/tmp/.env" }, evil: 1 };
  expect(checkSessionOptions(options)).toEqual({
    kind: "teleport",
    workload: "deploy/core",
    also: ["a", "b"],
    envFile: { path: "/tmp/.env" },
  });
});

test("of a mount: what it takes, and how it is written makes no other", () => {
  const mount = { dir: "/x", only: ["b", "a", "b"], readOnly: false, driver: "auto", evil: 1 };
  const checked = checkSessionOptions({ kind: "mount", workload: "core", mount });
  expect(checked.mount).toEqual({ dir: "/x", only: ["a", "b"], readOnly: false, driver: "auto" });
  const key = (given: object): string => sessionKey(checkSessionOptions({ workload: "core", mount: given }), where);
  expect(key({ dir: "/x" })).toBe(key({ dir: "/x", readOnly: false, driver: "auto" }));
  expect(key({ dir: "/x" })).not.toBe(key({ dir: "/x", readOnly: true }));
  const sync = { dir: "/x", driver: "sync" };
  expect(key({ ...sync, ignore: ["b", "a"] })).toBe(key({ ...sync, ignore: ["a", "b", "a"] }));
  expect(key({ ...sync, ignore: ["b"] })).not.toBe(key(sync));
});

test("of an env: what it takes, and nothing else", () => {
  const env = { from: "running", skipForbidden: true, only: ["A*"], except: ["AB"], secrets: false, set: { A: "" }, follow: true };
  expect(checkSessionOptions({ env: { ...env, evil: 1 } }).env).toEqual(env);
});

test.each([
  [null, "options"],
  [{ kind: "journey" }, "kind"],
  [{ kind: "mount", workload: "core" }, "mount"],
  [{ kind: "mount", mount: { dir: "/x" } }, "mount"],
  [{ kind: "mount", workload: "core", mount: { dir: "x" } }, "mount.dir"],
  [{ kind: "mount", workload: "core", mount: { dir: "/x" }, envFile: { path: "/y" } }, "envFile"],
  [{ kind: "env", workload: "core", mount: { dir: "/x" } }, "mount"],
  [{ workload: "core", mount: { dir: "/x", only: "data" } }, "mount.only"],
  [{ workload: "core", mount: { dir: "/x", readOnly: "yes" } }, "mount.readOnly"],
  [{ workload: "core", mount: { dir: "/x", driver: "" } }, "mount.driver"],
  [{ workload: "core", mount: { dir: "/x", driver: "sync", ignore: "x" } }, "mount.ignore"],
  [{ workload: "core", mount: { dir: "/x", driver: "sync", ignore: [""] } }, "mount.ignore"],
  [{ workload: "core", mount: { dir: "/x", driver: "sshfs", ignore: ["x"] } }, "mount.ignore"],
  [{ workload: "" }, "workload"],
  [{ namespace: "No_Such" }, "namespace"],
  [{ also: "payments" }, "also"],
  [{ also: ["payments", "*"] }, "also"],
  [{ workload: "deploy/core", envFile: { path: "relative" } }, "envFile.path"],
  [{ envFile: { path: "/tmp/.env" } }, "envFile"],
  [{ kind: "env" }, "workload"],
  [{ via: "pigeon" }, "via"],
  [{ remoteHosts: "db.internal:5432" }, "remoteHosts"],
  [{ remoteHosts: ["db.internal"] }, "remoteHosts"],
  [{ remoteHosts: ["10.0.0.1:80"] }, "remoteHosts"],
  [{ via: "port-forward", remoteHosts: ["db.internal:5432"] }, "remoteHosts"],
  [{ relayImage: "" }, "relayImage"],
  [{ env: "all" }, "env"],
  [{ env: { from: "image" } }, "env.from"],
  [{ env: { only: "DB_*" } }, "env.only"],
  [{ env: { except: [""] } }, "env.except"],
  [{ env: { secrets: "no" } }, "env.secrets"],
  [{ env: { set: { "A=B": "c" } } }, "env.set"],
  [{ env: { set: { A: 1 } } }, "env.set"],
])("%j is refused and names the option", (options, option) => {
  expect(() => checkSessionOptions(options)).toThrow(expect.objectContaining({ code: "SESSION_OPTIONS", details: { option } }));
});

test("nothing but a coded error ever comes out of anything", () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      try {
        checkSessionOptions(value);
      } catch (error) {
        expect(error).toMatchObject({ code: "SESSION_OPTIONS" });
      }
    }),
  );
});

test("only equal wishes at the same place are one session", () => {
  const options = checkSessionOptions({ workload: "deployment/core", also: ["a", "b"] });
  const key = sessionKey(options, where);
  expect(sessionKey(checkSessionOptions({ workload: "deployment/core", also: ["b", "a"] }), where)).toBe(key);
  for (const other of [
    { workload: "deployment/leaf" },
    { container: "x" },
    { also: ["a"] },
    { kubeconfig: "/k" },
    { envFile: { path: "/e" } },
    { via: "relay" as const },
    { remoteHosts: ["db.internal:5432"] },
    { relayImage: "node:22" },
    { env: { only: ["A"] } },
    { env: { set: { A: "b" } } },
  ]) {
    expect(sessionKey({ ...options, ...other }, where)).not.toBe(key);
  }
  for (const field of Object.keys(where)) expect(sessionKey(options, { ...where, [field]: "other" })).not.toBe(key);
});
