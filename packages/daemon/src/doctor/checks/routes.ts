import { readFile } from "node:fs/promises";
import { parseRange } from "@shipside/tunnel";
import { type Check, ok, warning } from "../check.ts";

/** Whether a route, a VPN's say, leads our addresses out of this machine. Linux only. */
export const routes: Check = {
  id: "routes",
  title: "routes",
  async run({ platform, cidr, file }) {
    if (platform !== "linux") return [];
    const table = await readFile(file("/proc/net/route"), "utf8").catch(() => undefined);
    if (table === undefined) return [];
    const wanted = blockOf(parseRange(cidr).cidr);
    const over = parseRoutes(table).filter((route) => route.device !== "lo" && route.prefix > 0 && overlaps(route, wanted));
    if (over.length === 0) return [ok(`none leads ${cidr} away from this machine`)];
    return over.map(({ device, destination, prefix }) =>
      warning(
        `a route to ${dotted(destination)}/${prefix} over ${device} covers addresses of the pool ${cidr}`,
        `is ${device} a VPN? Exclude 127.0.0.0/8 there`,
        { device, destination: `${dotted(destination)}/${prefix}` },
      ),
    );
  },
};

interface Block {
  /** As a 32-bit number. */
  destination: number;
  prefix: number;
}

/** Rows of /proc/net/route (proc(5)): addresses are hexadecimal, in the machine's byte order (little-endian). */
function parseRoutes(table: string): Array<Block & { device: string }> {
  return table
    .split("\n")
    .slice(1)
    .flatMap((row) => {
      const fields = row.trim().split(/\s+/);
      const [device = "", hex = "", , , , , , mask = ""] = fields;
      if (!/^[0-9A-F]{8}$/i.test(hex) || !/^[0-9A-F]{8}$/i.test(mask)) return [];
      const prefix = number(mask).toString(2).replaceAll("0", "").length;
      return [{ device, destination: number(hex), prefix }];
    });
}

const number = (hex: string): number => Buffer.from(hex, "hex").readUInt32LE();

function blockOf(cidr: string): Block {
  const [address = "", prefix] = cidr.split("/");
  return { destination: address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0), prefix: Number(prefix) };
}

function overlaps(a: Block, b: Block): boolean {
  const shift = 2 ** (32 - Math.min(a.prefix, b.prefix));
  return Math.floor(a.destination / shift) === Math.floor(b.destination / shift);
}

const dotted = (address: number): string => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
