import { readFile } from "node:fs/promises";
import { hostsOwnerContract } from "@shipside/testkit";
import { describe, it } from "vitest";
import { scratchHosts } from "./fixtures/scratch.ts";
import { openHosts } from "./hosts-file.ts";

describe("contract", () => {
  const cases = hostsOwnerContract({
    name: "hosts file",
    async open() {
      const scratch = await scratchHosts("127.0.0.1 localhost\r\n10.0.0.1 mine");
      return {
        owner: (name) => openHosts({ path: scratch.path, owner: name }),
        async lookup(name) {
          const lines = (await readFile(scratch.path, "latin1"))
            .split(/\r?\n/)
            .map((line) => line.replace(/#.*/, "").trim().split(/\s+/));
          return lines.flatMap(([address = "", ...names]) => (names.includes(name) ? [address] : []));
        },
        read: () => readFile(scratch.path),
        [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
      };
    },
  });
  for (const { name, run } of cases) it(name, run);
});
