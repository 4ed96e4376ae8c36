import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { openNamespace } from "../namespace.ts";
import { startCarrier } from "./carrier.ts";

/** Stands in for a program: notes its number, opens a way out that leads nowhere, and stays. */
const PROGRAM = `echo $$ > "$1"; nsenter --target $2 --user --preserve-credentials --net ip route add default dev lo; exec sleep 600`;

interface Scene {
  pid: number;
  line: string[];
  /** The program's number. */
  program(): Promise<number>;
}

async function scene(): Promise<Scene> {
  const dir = await mkdtemp(join(tmpdir(), "shipside-carrier-"));
  const namespace = await openNamespace();
  onTestFinished(async () => {
    await namespace.close();
    await rm(dir, { recursive: true });
  });
  return {
    pid: namespace.pid,
    line: ["sh", "-c", PROGRAM, "program", join(dir, "pid"), String(namespace.pid)],
    program: async () => Number(await readFile(join(dir, "pid"), "utf8").catch(() => 0)),
  };
}

const parentOf = async (pid: number): Promise<number> =>
  Number((await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]!.split(" ")[1]);
const gone = (pid: number): Promise<void> => expect.poll(() => isThere(pid)).toBe(false);
const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe.runIf(process.platform === "linux")("what carries the traffic", () => {
  test("is there when the way out is, and gone when it is closed", async () => {
    const { program, ...place } = await scene();
    const carrier = await startCarrier({ name: "test", ...place });
    const pid = await program();
    expect(isThere(pid)).toBe(true);
    await Promise.all([carrier.close(), carrier.close()]);
    expect(await carrier.ended).toBeUndefined();
    await gone(pid);
  });

  test("that ends by itself says why", async () => {
    const { program, ...place } = await scene();
    await using carrier = await startCarrier({ name: "test", ...place });
    process.kill(await program(), "SIGKILL");
    expect(await carrier.ended).toMatchObject({
      code: "ROOTLESS_OUTSIDE_FAILED",
      message: expect.stringContaining("test ended by itself (exit code 137)"),
    });
  });

  test("goes with its keeper", async () => {
    const { program, ...place } = await scene();
    await using carrier = await startCarrier({ name: "test", ...place });
    const pid = await program();
    process.kill(await parentOf(pid), "SIGKILL");
    expect(await carrier.ended).toMatchObject({ message: "test ended by itself (signal SIGKILL)" });
    await gone(pid);
  });

  test("goes with who started it, though nobody had the time to say so", async () => {
    const { program, pid, line } = await scene();
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
    const { pid } = await scene();
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
