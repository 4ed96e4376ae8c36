import { expect, test } from "vitest";
import { createInterrupt } from "./interrupt.ts";
import type { CommandSession } from "./open-session.ts";
import { createEventRelay, runSessionCommand } from "./session-command.ts";
import { createTerminal } from "./terminal.ts";

test("a command that is interrupted before it is started isn't", async () => {
  const { stdout, stderr } = process;
  const terminal = createTerminal({ stdout, stderr, env: {}, json: false, quiet: true });
  using interrupt = createInterrupt(terminal);
  const ended = new Promise<undefined>(() => {});
  const session = { env: [], entries: [], info: () => ({ names: { where: "hosts" } }), ended } as unknown as CommandSession;
  let started = false;
  const run = async () => {
    started = true;
    return { pid: 0, exited: Promise.resolve(0), kill: () => {} };
  };
  process.emit("SIGINT");
  const ran = runSessionCommand([process.execPath], session, { terminal, interrupt, relay: createEventRelay(() => {}), run });
  await expect(ran).rejects.toMatchObject({ code: "ABORTED" });
  expect(started).toBe(false);
});
