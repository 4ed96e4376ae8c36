import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Whether a program that runs this has read the inspector's library by its end. */
async function loads(program: string): Promise<boolean> {
  const hook = `import { registerHooks } from "node:module";
    let loaded = false;
    registerHooks({ load(url, context, next) { if (url.includes("/packages/inspector/")) loaded = true; return next(url, context); } });
    ${program}
    console.log(loaded);`;
  const args = ["--conditions=@shipside/source", "--input-type=module", "-e", hook];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: fileURLToPath(new URL(".", import.meta.url)) });
  return stdout.trim() === "true";
}

test("a daemon that has no session with traffic hasn't loaded the inspector", { timeout: 60_000 }, async () => {
  const at = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const host = `const { createSessionHost } = await import(${at("../host.ts")}); await import(${at("../daemon.ts")});
    await using host = createSessionHost({ inspector: {}, hosts: false, stateDir: "/nonexistent" });`;
  expect(await loads(host)).toBe(false);
  expect(await loads(`await import(${at("open-inspection.ts")});`)).toBe(true);
});
