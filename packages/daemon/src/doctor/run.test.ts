import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ShipsideError } from "@shipside/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Check, ok, warning } from "./check.ts";
import { CHECKS } from "./checks.ts";
import { runDoctor } from "./run.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-doctor-"));
});
afterAll(() => rm(dir, { recursive: true }));

const check = (id: string, run: Check["run"]): Check => ({ id, title: id, run });
const well = check("well", async () => [ok("fine")]);
const nowhere = (): object => ({ kubeconfig: join(dir, "none"), stateDir: join(dir, "state"), runtimeDir: join(dir, "run") });

describe("a run of doctor", () => {
  test("a check that throws, rejects or hangs is a line, and the others are told", async () => {
    const began = performance.now();
    const report = await runDoctor({ ...nowhere(), limitMs: 150 }, [
      check("throws", () => {
        throw new TypeError("oh");
      }),
      check("rejects", async () => {
        throw new ShipsideError("SOME_CODE", "could not look", { hint: "look closer" });
      }),
      check("hangs", () => new Promise(() => {})),
      well,
    ]);
    // What hangs hangs for ever: the rest is what a busy machine needs.
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(report.lines).toMatchObject([
      { check: "throws", level: "problem", text: "could not be looked at: oh" },
      { check: "rejects", level: "problem", hint: "look closer", details: { code: "SOME_CODE" } },
      { check: "hangs", level: "problem", text: "no answer within 0.15 s" },
      { check: "well", level: "ok", text: "fine" },
    ]);
  });

  test("what hangs is told to end", async () => {
    let ended = false;
    const hangs = check("hangs", async (_context, signal) => {
      signal.addEventListener("abort", () => {
        ended = true;
      });
      return new Promise(() => {});
    });
    await runDoctor({ ...nowhere(), limitMs: 50 }, [hangs]);
    expect(ended).toBe(true);
  });

  test("the worst counts", async () => {
    const worst = async (...checks: Check[]): Promise<string> => (await runDoctor(nowhere(), checks)).worst;
    const careful = check("careful", async () => [warning("so so", "do better")]);
    expect([await worst(), await worst(well), await worst(well, careful, well)]).toEqual(["ok", "ok", "warning"]);
  });

  test("whoever interrupts it is heard at once", async () => {
    const abort = new AbortController();
    const running = runDoctor({ ...nowhere(), signal: abort.signal }, [check("hangs", () => new Promise(() => {}))]);
    setTimeout(() => abort.abort(new ShipsideError("ABORTED", "ended by SIGINT")), 30);
    await expect(running).rejects.toMatchObject({ code: "ABORTED" });
  });

  test("without a cluster or kubeconfig everything else is looked at, and only the kubeconfig is a problem of it", async () => {
    const { lines } = await runDoctor(nowhere());
    const of = (id: string) => lines.filter((line) => line.check === id);
    expect(of("kubeconfig")).toMatchObject([{ level: "problem", details: { code: "KUBE_NO_CONFIG" }, hint: expect.any(String) }]);
    for (const id of ["server", "credentials", "rights", "carrier", "clock"]) expect(of(id)).toEqual([]);
    for (const id of ["processes", "residue", "hosts-file", "pool", "proxies"]) expect(of(id).length, id).toBeGreaterThan(0);
    expect(lines.filter(({ text }) => text.startsWith("could not be looked at"))).toEqual([]);
  });

  test("ids are each check's own, and whatever isn't well says what to do", async () => {
    expect(new Set(CHECKS.map(({ id }) => id)).size).toBe(CHECKS.length);
    const { lines } = await runDoctor(nowhere());
    for (const line of lines) if (line.level !== "ok") expect(line.hint, line.text).toMatch(/\w/);
  });
});
