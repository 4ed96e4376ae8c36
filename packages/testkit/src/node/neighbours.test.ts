import { fork } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { availableModes } from "./fixtures/modes.ts";
import { type Neighbour, openNeighbour } from "./fixtures/neighbour.ts";

const canHave = (await availableModes()).includes("namespaces");
const ROUNDS = 3;

async function inProcess(name: string): Promise<Neighbour> {
  const child = fork(new URL("fixtures/neighbour.ts", import.meta.url), [name], { execArgv: ["--conditions=@shipside/source"] });
  const exited = once(child, "exit");
  const answer = async (): Promise<string> => (await Promise.race([once(child, "message"), exited]))[0];
  expect(await answer()).toBe("ready");
  const asked = (what: string): Promise<string> => {
    child.send(what);
    return answer();
  };
  return {
    ask: () => asked("ask"),
    passing: async () => void (await asked("passing")),
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await exited;
    },
  };
}

// Without namespaces a ClusterIP is nothing that pods could connect to.
test.runIf(canHave)(
  "clusters side by side, in this process and in another, have one ClusterIP each to itself, while pods come and go",
  { timeout: 60_000 },
  async () => {
    await using one = await openNeighbour("one");
    await using two = await openNeighbour("two");
    await using three = await inProcess("three");
    const all = [one, two, three];
    const answers = () => Promise.all(all.map((each) => each.ask()));
    expect(await answers()).toEqual(["one", "two", "three"]);
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(all.map((each) => each.passing()));
      expect(await answers()).toEqual(["one", "two", "three"]);
    }
  },
);
