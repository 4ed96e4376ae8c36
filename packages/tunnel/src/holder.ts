import { readdir, readFile, readlink } from "node:fs/promises";

/** Who listens on a port. `pid` and `name` are missing where the process is another user's. */
export interface PortHolder {
  /** The address it listens on: the one asked for, or the wildcard that covers it. */
  address: string;
  pid?: number;
  /** As in /proc/PID/comm. */
  name?: string;
}

const LISTEN = "0A";

/** Linux only (proc(5)): undefined elsewhere, and where nobody is found. Never rejects. */
export async function findHolder(address: string, port: number, proc = "/proc"): Promise<PortHolder | undefined> {
  const tables = await Promise.all(["tcp", "tcp6"].map((table) => readFile(`${proc}/net/${table}`, "utf8").catch(() => "")));
  const sockets = tables.flatMap(listeningSockets).filter((socket) => socket.port === port);
  const socket =
    sockets.find((candidate) => candidate.address === address) ?? sockets.find((candidate) => isWildcard(candidate.address));
  if (!socket) return undefined;
  return { address: socket.address, ...(await processOf(socket.inode, proc)) };
}

/** "shown to people": `nginx (pid 812), on 0.0.0.0`. */
export function describeHolder(holder: PortHolder | undefined): string {
  if (!holder) return "another process";
  const who = holder.pid === undefined ? "another user's process" : `${holder.name ?? "a process"} (pid ${holder.pid})`;
  return isWildcard(holder.address) ? `${who}, on all addresses (${holder.address})` : who;
}

const isWildcard = (address: string): boolean => address === "0.0.0.0" || address === "::";

/** Rows of /proc/net/tcp and tcp6: addresses are hexadecimal, each 32-bit word in the machine's byte order (little-endian). */
export function listeningSockets(table: string): Array<{ address: string; port: number; inode: string }> {
  const sockets = [];
  for (const row of table.split("\n").slice(1)) {
    const fields = row.trim().split(/\s+/);
    const [hexAddress, hexPort] = (fields[1] ?? "").split(":");
    const inode = fields[9];
    if (fields[3] !== LISTEN || !hexAddress || !hexPort || !inode) continue;
    sockets.push({ address: addressOf(hexAddress), port: Number.parseInt(hexPort, 16), inode });
  }
  return sockets;
}

function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  for (let word = 0; word < bytes.length; word += 4) bytes.subarray(word, word + 4).reverse();
  if (bytes.length === 4) return bytes.join(".");
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  if (mapped) return bytes.subarray(12).join(".");
  if (bytes.every((byte) => byte === 0)) return "::";
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(group * 2).toString(16));
  return groups.join(":");
}

async function processOf(inode: string, proc: string): Promise<{ pid: number; name?: string } | undefined> {
  const wanted = `socket:[${inode}]`;
  for (const pid of (await readdir(proc).catch(() => [])).filter((entry) => /^\d+$/.test(entry))) {
    const descriptors = await readdir(`${proc}/${pid}/fd`).catch(() => []);
    const links = await Promise.all(descriptors.map((fd) => readlink(`${proc}/${pid}/fd/${fd}`).catch(() => "")));
    if (!links.includes(wanted)) continue;
    const name = await readFile(`${proc}/${pid}/comm`, "utf8").catch(() => undefined);
    return { pid: Number(pid), ...(name !== undefined && { name: name.trim() }) };
  }
  return undefined;
}
