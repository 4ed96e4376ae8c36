import { expect, test } from "vitest";
import { isHostName, isReservedName } from "./host-name.ts";

test("names that a machine's own programs rely on are reserved, however they are written; what only looks like them isn't", () => {
  for (const name of [
    ...["localhost", "LocalHost", "a.localhost", "localhost.localdomain", "broadcasthost", "ip6-localhost", "ip6-allnodes"],
    ...["127.1", "db.0x7f", "1", "wpad", "WPAD", "isatap"],
  ])
    expect(isReservedName(name), name).toBe(true);
  for (const name of ["localhosts", "my-localhost", "localhost.shop", "ip6", "db.0xg", "1password", "wpad.shop", "kubernetes"])
    expect(isReservedName(name), name).toBe(false);
});

test("what is reserved and what is none are told apart", () => {
  expect(isHostName("localhost")).toBe(true);
  expect(isHostName("local host")).toBe(false);
});
