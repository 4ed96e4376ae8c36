import { silentLogger } from "@shipside/core";
import { expect, it } from "vitest";
import { claim, claimed, cluster, namespace, pod, podWith, relays, useHolder } from "../fixtures/holder.ts";
import { sharedRelays } from "./relays.ts";

useHolder(() => [claim("data"), podWith(pod.name, { data: claimed("data") })]);

it("who closes twice what others use too closes it for itself alone", async () => {
  const { take } = sharedRelays({ cluster, owner: "ann@desk" });
  const files = { claims: [{ name: "data" }], user: { uid: 1000, gid: 1000 } };
  const [mine, another] = [take(namespace, files, silentLogger), take(namespace, files, silentLogger)];
  const { signal } = new AbortController();
  const link = await mine.link(signal);
  await Promise.all([mine.close(), mine.close()]);
  await mine.close();
  expect(await another.link(signal)).toBe(link);
  expect(await relays()).toHaveLength(1);
  await another.close();
  expect(await relays()).toEqual([]);
}, 30_000);
