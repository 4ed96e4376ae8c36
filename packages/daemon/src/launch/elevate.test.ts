import { expect, test } from "vitest";
import { type ElevationFacts, planElevation } from "./elevate.ts";

const command = ["/opt/node", "/opt/detach.js", "--uid", "1000"] as const;
const facts = (given: Partial<ElevationFacts>): ElevationFacts => ({
  uid: 1000,
  sudo: "/usr/bin/sudo",
  doas: "/usr/bin/doas",
  terminal: true,
  env: {},
  ...given,
});
const plan = (given: Partial<ElevationFacts>) => planElevation(facts(given), command, "su root -c x");

test.each<[string, Partial<ElevationFacts>, readonly string[], boolean]>([
  ["root needs nobody", { uid: 0 }, command, false],
  ["sudo asks on a terminal", {}, ["/usr/bin/sudo", "--", ...command], true],
  ["sudo asks nobody where there is no terminal", { terminal: false }, ["/usr/bin/sudo", "-n", "--", ...command], false],
  [
    "sudo asks a program where there is one",
    { terminal: false, env: { SUDO_ASKPASS: "/bin/ask" } },
    ["/usr/bin/sudo", "-A", "--", ...command],
    false,
  ],
  ["doas asks on a terminal", { sudo: undefined }, ["/usr/bin/doas", "--", ...command], true],
  ["doas asks nobody without", { sudo: undefined, terminal: false }, ["/usr/bin/doas", "-n", "--", ...command], false],
])("%s", (_name, given, expected, asks) => {
  expect(plan(given)).toMatchObject({ command: expected, asks });
});

test("nothing of the user's that changes a program reaches what asks for root", () => {
  const env = {
    NODE_OPTIONS: "--require=/x",
    PATH: "/home/me/bin",
    LD_PRELOAD: "/x",
    BASH_ENV: "/x",
    HOME: "/home/me",
    TERM: "xterm",
  };
  expect(plan({ env }).env).toEqual({ TERM: "xterm", PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" });
  expect(plan({ uid: 0, env }).env).toEqual({});
});

test("with neither it says what root can run", () => {
  expect(() => plan({ sudo: undefined, doas: undefined })).toThrow(
    expect.objectContaining({ code: "ROOT_UNAVAILABLE", hint: expect.stringContaining("\nsu root -c x\n") }),
  );
});
