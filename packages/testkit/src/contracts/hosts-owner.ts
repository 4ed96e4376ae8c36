import assert from "node:assert/strict";
import type { HostsEntry, HostsOwner } from "@shipside/core";
import type { ContractCase } from "./contract.ts";

/** A fresh place for names (a hosts file, a resolver), seen from outside. */
export interface HostsOwnerSubject extends AsyncDisposable {
  /** Another owner's handle on the same place with each call; the same owner name gives the same owner. */
  owner(name: string): Promise<HostsOwner>;
  /** The addresses that a resolver would find for a name. */
  lookup(name: string): Promise<readonly string[]>;
  /** Everything in the place as bytes, where it is a file: restoring must give them back. */
  read?(): Promise<Uint8Array>;
}

export interface HostsOwnerContractOptions {
  /** Prefix of the cases' names. */
  name?: string;
  open(): Promise<HostsOwnerSubject>;
}

const leaf: HostsEntry = { address: "127.72.0.1", names: ["leaf", "leaf.sample", "leaf.sample.svc.cluster.local"] };
const core: HostsEntry = { address: "127.72.0.2", names: ["core", "core.sample"] };

/** What every {@link HostsOwner} must do: the real hosts file, a private copy, or a resolver. */
export function hostsOwnerContract(options: HostsOwnerContractOptions): ContractCase[] {
  const contract = (name: string, run: (subject: HostsOwnerSubject, owner: HostsOwner) => Promise<void>): ContractCase => ({
    name: `${options.name ?? "hosts owner"}: ${name}`,
    async run() {
      await using subject = await options.open();
      await using owner = await subject.owner("first");
      await run(subject, owner);
    },
  });
  const content = async (subject: HostsOwnerSubject): Promise<string | undefined> => {
    const bytes = await subject.read?.();
    return bytes && Buffer.from(bytes).toString("latin1");
  };

  return [
    contract("plan says what apply would do, and changes nothing", async (subject, owner) => {
      const before = await content(subject);
      const plan = await owner.plan([leaf]);
      assert.equal(plan.unchanged, false);
      assert.ok(plan.added.length > 0, "added lines are told");
      assert.deepEqual(plan.removed, []);
      assert.deepEqual(await subject.lookup("leaf"), []);
      assert.equal(await content(subject), before);
      const done = await owner.apply([leaf]);
      assert.deepEqual(done.added, plan.added);
    }),

    contract("every applied name resolves to its address", async (subject, owner) => {
      await owner.apply([leaf, core]);
      for (const { address, names } of [leaf, core]) {
        for (const name of names) assert.ok((await subject.lookup(name)).includes(address), `${name} resolves to ${address}`);
      }
    }),

    contract("applying the same again changes nothing", async (subject, owner) => {
      await owner.apply([leaf]);
      const before = await content(subject);
      const again = await owner.apply([leaf]);
      assert.equal(again.unchanged, true);
      assert.deepEqual([again.added, again.removed], [[], []]);
      assert.equal(await content(subject), before);
    }),

    contract("apply replaces the owner's whole set", async (subject, owner) => {
      await owner.apply([leaf]);
      const plan = await owner.apply([core]);
      assert.ok(plan.removed.length > 0, "removed lines are told");
      assert.deepEqual(await subject.lookup("leaf"), []);
      assert.deepEqual(await subject.lookup("core"), [core.address]);
      await owner.apply([]);
      assert.deepEqual(await subject.lookup("core"), []);
    }),

    contract("restore leaves nothing, and may be called again", async (subject, owner) => {
      const before = await content(subject);
      await owner.restore();
      await owner.apply([leaf, core]);
      await owner.restore();
      await owner.restore();
      assert.deepEqual(await subject.lookup("leaf"), []);
      assert.equal(await content(subject), before);
      await owner.apply([leaf]);
      assert.deepEqual(await subject.lookup("leaf"), [leaf.address]);
    }),

    contract("owners leave each other's names alone", async (subject, owner) => {
      const before = await content(subject);
      await using other = await subject.owner("second");
      await Promise.all([owner.apply([leaf]), other.apply([core])]);
      assert.deepEqual(await subject.lookup("leaf"), [leaf.address]);
      assert.deepEqual(await subject.lookup("core"), [core.address]);
      await owner.restore();
      assert.deepEqual(await subject.lookup("leaf"), []);
      assert.deepEqual(await subject.lookup("core"), [core.address]);
      await other.restore();
      assert.equal(await content(subject), before);
    }),

    contract("a bad entry is refused with HOSTS_INVALID_ENTRY, and the old set stays", async (subject, owner) => {
      await owner.apply([leaf]);
      const bad: HostsEntry[] = [
        { address: "127.72.0.3\n10.0.0.1", names: ["a"] },
        { address: "not-an-address", names: ["a"] },
        { address: "127.72.0.3", names: ["a\n10.0.0.1 evil"] },
        { address: "127.72.0.3", names: ["a evil"] },
        { address: "127.72.0.3", names: ["evil#"] },
        { address: "127.72.0.3", names: ["a".repeat(64)] },
        { address: "127.72.0.3", names: [`${"a.".repeat(127)}a`] },
        { address: "127.72.0.3", names: [] },
      ];
      for (const entry of bad) {
        await assert.rejects(owner.apply([core, entry]), { code: "HOSTS_INVALID_ENTRY" });
        await assert.rejects(owner.plan([core, entry]), { code: "HOSTS_INVALID_ENTRY" });
      }
      assert.deepEqual(await subject.lookup("leaf"), [leaf.address]);
      assert.deepEqual(await subject.lookup("core"), []);
    }),

    contract("changes asked for at once are done one after the other", async (subject, owner) => {
      const rounds = Array.from({ length: 10 }, (_, at) => owner.apply([{ address: `127.72.1.${at}`, names: ["leaf"] }]));
      await Promise.all(rounds);
      assert.deepEqual(await subject.lookup("leaf"), ["127.72.1.9"]);
    }),

    contract("close restores what was applied, and may be called again; then nothing more is taken", async (subject, owner) => {
      const before = await content(subject);
      await owner.apply([leaf]);
      await Promise.all([owner.close(), owner.close()]);
      await owner.close();
      assert.deepEqual(await subject.lookup("leaf"), []);
      assert.equal(await content(subject), before);
      await assert.rejects(owner.apply([leaf]));
    }),
  ];
}
