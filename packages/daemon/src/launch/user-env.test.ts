import fc from "fast-check";
import { expect, test } from "vitest";
import { bootEnv, userEnv, userEnvOfRoot } from "./user-env.ts";

const user = { uid: 1000, gid: 1000, name: "me", home: "/home/me", shell: "/bin/zsh", runtimeDir: "/run/user/1000" };

test("a user's daemon has all of the user's environment but what is the shell's own", () => {
  const env = { HOME: "/home/me", ANY_PLUGIN_NEEDS: "1", NODE_OPTIONS: "--x", EMPTY: "" };
  const shells = {
    PWD: "/tmp",
    OLDPWD: "/",
    SHLVL: "2",
    _: "/usr/bin/node",
    SUDO_UID: "0",
    SUDO_COMMAND: "x",
    NODE_CHANNEL_FD: "3",
  };
  expect(userEnv({ ...env, ...shells, GONE: undefined })).toEqual(env);
});

test("of root's environment a user gets only where clusters and clouds are, and is who the user database says", () => {
  const kept = { KUBECONFIG: "/k", https_proxy: "http://p", NO_PROXY: "*", AWS_PROFILE: "w", LANG: "de_DE.UTF-8", TZ: "UTC" };
  const roots = {
    HOME: "/root",
    PATH: "/root/bin",
    USER: "root",
    XDG_STATE_HOME: "/root/s",
    NODE_OPTIONS: "--x",
    LD_PRELOAD: "/x",
  };
  expect(userEnvOfRoot({ ...kept, ...roots, ROOT_TOKEN: "x" }, user)).toEqual({
    ...kept,
    HOME: "/home/me",
    PATH: "/usr/local/bin:/usr/bin:/bin",
    USER: "me",
    LOGNAME: "me",
    SHELL: "/bin/zsh",
    XDG_RUNTIME_DIR: "/run/user/1000",
  });
  expect(userEnvOfRoot({}, { uid: 7, gid: 7, home: "/" })).toEqual({ HOME: "/", PATH: "/usr/local/bin:/usr/bin:/bin" });
});

test("nothing that is a secret by its name is kept for the boot, and what is left out is said", () => {
  const kept = {
    HOME: "/h",
    PATH: "/bin",
    KUBECONFIG: "/k",
    AWS_PROFILE: "w",
    AWS_WEB_IDENTITY_TOKEN_FILE: "/t",
    NODE_OPTIONS: "--x",
  };
  const secret = { AWS_SECRET_ACCESS_KEY: "s", AWS_ACCESS_KEY_ID: "i", AWS_SESSION_TOKEN: "t", AZURE_CLIENT_SECRET: "a" };
  const other = { EDITOR: "vi", GITHUB_TOKEN: "g" };
  expect(bootEnv({ ...kept, ...secret, ...other })).toEqual({ env: kept, leftOut: Object.keys(secret) });
});

test("no environment invents a variable or changes one's value", () => {
  const names = fc.oneof(
    fc.string({ minLength: 1 }),
    fc.constantFrom("HOME", "PATH", "AWS_X", "SUDO_UID", "LANG", "KUBECONFIG", "__proto__"),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(names, fc.string())), (pairs) => {
      const env = Object.fromEntries(pairs);
      for (const made of [userEnv(env), bootEnv(env).env]) {
        for (const [name, value] of Object.entries(made)) expect(Object.getOwnPropertyDescriptor(env, name)?.value).toBe(value);
      }
    }),
  );
});
