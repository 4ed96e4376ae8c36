import { describe, expect, test } from "vitest";
import { carrierScene, isThere } from "./fixtures/carrier-scene.ts";
import { startLastingCarrier } from "./lasting-carrier.ts";

describe.runIf(process.platform === "linux")("what carries the traffic, and ends by itself,", () => {
  test("is started anew, and said; after too many times it has ended", async () => {
    const { program, ...place } = await carrierScene();
    const said: string[] = [];
    await using carrier = await startLastingCarrier({
      ...{ name: "test", ...place },
      interrupted: ({ message }) => said.push(message),
      restored: () => said.push("restored"),
    });
    let before = await program();
    for (let times = 1; times <= 3; times++) {
      process.kill(before, "SIGKILL");
      await expect.poll(() => said.length, { timeout: 10_000 }).toBe(times * 2);
      let now = 0;
      await expect.poll(async () => (now = await program()) > 0 && now !== before, { timeout: 10_000 }).toBe(true);
      before = now;
      expect(isThere(before)).toBe(true);
    }
    process.kill(before, "SIGKILL");
    expect(await carrier.ended).toMatchObject({ code: "ROOTLESS_OUTSIDE_FAILED" });
    const once = [expect.stringMatching(/^test ended by itself \(exit code 137\)/), "restored"];
    expect(said).toEqual([...once, ...once, ...once]);
  });

  test("has ended where it can't be started again; closed in between, it says nothing", async () => {
    const { program, closeWay, pid, line } = await carrierScene();
    await using carrier = await startLastingCarrier({ name: "test", pid, line, interrupted() {}, restored() {} });
    closeWay();
    line.splice(0, line.length, "sh", "-c", "echo no more >&2; exit 3");
    process.kill(await program(), "SIGKILL");
    expect(await carrier.ended).toMatchObject({ message: "test ended by itself (exit code 3): no more" });

    const closed = await carrierScene();
    const other = await startLastingCarrier({
      ...{ name: "test", pid: closed.pid, line: closed.line },
      interrupted: () => void other.close(),
      restored() {},
    });
    process.kill(await closed.program(), "SIGKILL");
    expect(await other.ended).toBeUndefined();
    await other.close();
    expect(isThere(await closed.program())).toBe(false);
  });
});
