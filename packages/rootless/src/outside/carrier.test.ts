import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseProcessStat } from "@shipside/core";
import { describe, expect, test } from "vitest";
import { startCarrier } from "./carrier.ts";
import { carrierScene, isThere } from "./fixtures/carrier-scene.ts";

const parentOf = async (pid: number): Promise<number> => parseProcessStat(await readFile(`/proc/${pid}/stat`, "latin1"))!.parent;
const gone = (pid: number): Promise<void> => expect.poll(() => isThere(pid)).toBe(false);

describe.runIf(process.platform === "linux")("what carries the traffic", () => {
  test("is there when the way out is, and gone when it is closed", async () => {
    const { program, ...place } = await carrierScene();
    const carrier = await startCarrier({ name: "test", ...place });
    const pid = await program();
    expect(isThere(pid)).toBe(true);
    await Promise.all([carrier.close(), carrier.close()]);
    expect(await carrier.ended).toBeUndefined();
    await gone(pid);
  });

  test("that ends by itself says why", async () => {
    const { program, ...place } = await carrierScene();
    await using carrier = await startCarrier({ name: "test", ...place });
    process.kill(await program(), "SIGKILL");
    expect(await carrier.ended).toMatchObject({
      code: "ROOTLESS_OUTSIDE_FAILED",
      message: expect.stringContaining("test ended by itself (exit code 137)"),
    });
  });

  test("goes with its keeper", async () => {
    const { program, ...place } = await carrierScene();
    await using carrier = await startCarrier({ name: "test", ...place });
    const pid = await program();
    process.kill(await parentOf(pid), "SIGKILL");
    expect(await carrier.ended).toMatchObject({ message: "test ended by itself (signal SIGKILL)" });
    await gone(pid);
  });

  test("goes with who started it, though nobody had the time to say so", async () => {
    const { program, pid, line } = await carrierScene();
    const file = fileURLToPath(new URL("./carrier.ts", import.meta.url));
    const script = `const { startCarrier } = await import(${JSON.stringify(file)});
      await startCarrier({ name: "test", pid: ${pid}, line: ${JSON.stringify(line)} });
      console.log("started"); setInterval(() => {}, 1000);`;
    const starter: ChildProcess = spawn(process.execPath, ["--conditions=@shipside/source", "--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(starter.stdout!, "data");
    const carrier = await program();
    const keeper = await parentOf(carrier);
    starter.kill("SIGKILL");
    await Promise.all([gone(carrier), gone(keeper)]);
  });

  test("that can't start, or opens nothing, leaves nothing", async () => {
    const { pid } = await carrierScene();
    const failed = startCarrier({ name: "test", pid, line: ["sh", "-c", "echo no such thing >&2; exit 3"] });
    await expect(failed).rejects.toMatchObject({
      code: "ROOTLESS_OUTSIDE_FAILED",
      message: "test ended by itself (exit code 3): no such thing",
    });
    const idle = startCarrier({ name: "test", pid, line: ["sleep", "600"], timeoutMs: 200 });
    await expect(idle).rejects.toMatchObject({ message: "test gave no way out within 200 ms" });
    const stop = new AbortController();
    const aborted = startCarrier({ name: "test", pid, line: ["sleep", "600"], signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(aborted).rejects.toThrow("enough");
  });
});
