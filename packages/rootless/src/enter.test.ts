import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";
import { openNamespace } from "./namespace.ts";

describe.runIf(process.platform === "linux")("entering namespaces", () => {
  it("a command's output is its starter's; it is the user, sees their hosts file, and ends with their processes when it is killed", async () => {
    await using namespace = await openNamespace();
    await namespace.hosts.apply([{ address: "10.96.120.95", names: ["web"] }]);
    const script = "id -u; head -n 1 /etc/hosts; echo $$; exec sleep 1003";
    const [program = "", ...words] = namespace.enter(["sh", "-c", script]);
    const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
    const gone = once(child, "exit");
    const lines = createInterface({ input: child.stdout });
    const said: string[] = [];
    for await (const line of lines) {
      // Its output ends with the last process that has it.
      if (said.push(line) === 3) child.kill("SIGTERM");
    }
    await gone;
    expect(said.join("\n")).toMatch(new RegExp(`^${process.getuid!()}\\n10\\.96\\.120\\.95 web\\n\\d+$`));
  });
});
