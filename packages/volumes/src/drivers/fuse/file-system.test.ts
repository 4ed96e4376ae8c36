import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { createFileSystem } from "./file-system.ts";
import type { SftpSession } from "./sftp-session.ts";

it("a signal doesn't end what is waited for, unless it takes long", async () => {
  const session = (): Promise<SftpSession> => new Promise(() => {});
  const { serve } = createFileSystem({ remotePath: "/", session, cacheSeconds: 2, user: { uid: 0, gid: 0 } });
  const began = performance.now();
  let answered: { errno: number; after: number } | undefined;
  const asker = { tell() {}, keep: () => () => {} };
  const respond = (reply: Buffer): void => {
    answered = { errno: -reply.readInt32LE(4), after: performance.now() - began };
  };
  void serve({ type: "statfs", unique: 2, node: 1 }, { ...asker, respond });
  await serve({ type: "interrupt", unique: 3, node: 0, of: 2 }, { ...asker, respond: () => expect.unreachable() });
  await sleep(700);
  expect(answered).toBeUndefined();
  await expect.poll(() => answered).toMatchObject({ errno: constants.errno.EINTR });
  expect(answered!.after).toBeLessThan(1_500);
});
