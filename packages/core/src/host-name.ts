import { isIP } from "node:net";

const NAME = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/** RFC 1123 section 2.1, with RFC 1035's limits: 63 a label, 253 in all. Something that reads as an address is not a name. */
export function isHostName(name: unknown): name is string {
  return typeof name === "string" && NAME.test(name) && isIP(name) === 0;
}

/**
 * Names that nobody gives to a machine for somebody else: those that its own programs rely on (`localhost` and what is below it by RFC 6761,
 * and what the hosts files of Linux and macOS come with), those that inet_aton(3) reads as an address, because their last label is a number
 * (`127.1`), and those by which a program asks whoever answers how it shall reach everything else (`wpad`, `isatap`).
 */
export function isReservedName(name: string): boolean {
  return /(?:^|\.)(?:localhost|\d+|0x[\da-f]*)$|^localhost\.localdomain$|^broadcasthost$|^ip6-(?:local|loop|mcast|all)|^(?:wpad|isatap)$/i.test(
    name,
  );
}
