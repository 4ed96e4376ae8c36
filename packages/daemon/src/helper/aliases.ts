import { execFile } from "node:child_process";
import { networkInterfaces } from "node:os";
import { promisify } from "node:util";

/** Addresses of the loopback interface, on a platform that has only 127.0.0.1 by itself. */
export interface Aliases {
  /** Whether this machine has to be given `address` first. */
  isMissing(address: string): boolean;
  add(address: string): Promise<void>;
  /** Of one that isn't there: nothing. */
  remove(address: string): Promise<void>;
}

/** Linux has all of 127.0.0.0/8. */
const all: Aliases = { isMissing: () => false, add: async () => {}, remove: async () => {} };

export function loopbackAliases(platform: NodeJS.Platform = process.platform): Aliases {
  return platform === "darwin" ? lo0Aliases(promisify(execFile), () => networkInterfaces()["lo0"] ?? []) : all;
}

/** ifconfig(8) of macOS. By its absolute path: nobody's PATH has a say in what root runs. */
export function lo0Aliases(
  run: (program: string, args: string[]) => Promise<unknown>,
  interfaces: () => ReadonlyArray<{ address: string }>,
): Aliases {
  const isMissing = (address: string): boolean => !interfaces().some((each) => each.address === address);
  return {
    isMissing,
    async add(address) {
      await run("/sbin/ifconfig", ["lo0", "alias", address, "netmask", "255.255.255.255"]);
    },
    async remove(address) {
      if (!isMissing(address)) await run("/sbin/ifconfig", ["lo0", "-alias", address]);
    },
  };
}
