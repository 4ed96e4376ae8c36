import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { codeOf } from "@shipside/core";
import { type AddressRange, describeHolder, findHolder, listeningSockets, parseRange } from "@shipside/tunnel";
import { type Check, count, type Finding, ok, problem, some, warning } from "../check.ts";
import type { DoctorContext } from "../context.ts";

/** The addresses that services get: may they be used, are there enough, and does anybody else use them. */
export const pool: Check = {
  id: "pool",
  title: "address pool",
  async run(context, signal) {
    const range = parseRange(context.cidr);
    const findings: Finding[] = [];
    // The ends and the middle: one of them is outside, where a machine has less of 127/8 than all.
    const samples = [...new Set([0, Math.floor(range.size / 2), range.size - 1])].map((index) => range.at(index));
    const tried = await Promise.all(samples.map(async (address) => ({ address, error: await exchange(address, signal) })));
    const bad = tried.filter(({ error }) => error !== undefined);
    const taken = await addressesTaken(context);
    const used = taken.filter(([key]) => key.startsWith(`${range.cidr} `)).length;
    const room = `${range.cidr}: ${count(used, "address", "addresses")} of ${range.size} belong to services`;
    if (bad.length === 0) findings.push(ok(room, { cidr: range.cidr, size: range.size, used }));
    else {
      const [{ address, error }] = bad as [(typeof bad)[0]];
      const all = bad.length === tried.length;
      findings.push(
        (all ? problem : warning)(
          `${some(bad.map((each) => each.address))} can't be used: ${error!.message}`,
          aliasHint(context, address),
          {
            cidr: range.cidr,
            code: codeOf(error) ?? null,
          },
        ),
      );
    }
    if (used > range.size * 0.9)
      findings.push(
        warning(
          "few addresses are left",
          `close all sessions and remove ${join(context.stateDir, "addresses.json")}, to forget services that are gone`,
        ),
      );
    const low = await listenError(range.at(Math.floor(range.size / 2)), 80);
    if (codeOf(low) === "EACCES" && !(await context.helper())?.running)
      findings.push(
        warning(
          "this user may not listen on ports below 1024",
          context.platform === "linux"
            ? "`shipside start` asks for root once; or sudo sysctl net.ipv4.ip_unprivileged_port_start=0"
            : "`shipside start` asks for root once",
        ),
      );
    findings.push(...(await strangers(range, context)));
    return findings;
  },
};

/** A byte there and back over an address: undefined where all is well. */
async function exchange(address: string, signal: AbortSignal): Promise<Error | undefined> {
  const server = createServer((socket) => void socket.on("error", () => {}).end("!")).on("error", () => {});
  try {
    server.listen({ host: address, port: 0, signal });
    await once(server, "listening", { signal });
    const socket = connect({ host: address, port: (server.address() as AddressInfo).port, signal });
    socket.on("error", () => {});
    await once(socket, "data", { signal });
    socket.destroy();
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    server.close();
  }
}

async function listenError(address: string, port: number): Promise<Error | undefined> {
  const server = createServer();
  try {
    server.listen({ host: address, port });
    await once(server, "listening");
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    server.close();
  }
}

function aliasHint({ platform }: DoctorContext, address: string): string {
  if (platform === "darwin")
    return `\`shipside start\` makes the addresses that are needed; by hand: sudo ifconfig lo0 alias ${address}`;
  return "is a firewall, VPN or container network in the way of 127.0.0.0/8?";
}

async function addressesTaken({ stateDir }: DoctorContext): Promise<Array<[key: string, address: string]>> {
  const text = await readFile(join(stateDir, "addresses.json"), "utf8").catch(() => "{}");
  const { addresses = {} } = JSON.parse(text) as { addresses?: Record<string, string> };
  return Object.entries(addresses);
}

/** Listeners on our addresses. Linux only: elsewhere nobody tells. */
async function strangers(range: AddressRange, context: DoctorContext): Promise<Finding[]> {
  const table = await readFile(context.file("/proc/net/tcp"), "utf8").catch(() => "");
  const sockets = listeningSockets(table).filter(({ address }) => range.has(address));
  if (sockets.length === 0) return [];
  const held = new Map<string, { pid: number | undefined; ours: boolean; at: string[] }>();
  for (const { address, port } of sockets.slice(0, 50)) {
    const holder = await findHolder(address, port);
    const who = describeHolder(holder);
    const ours = holder?.pid === process.pid || (await isShipside(holder?.pid, context));
    const entry = held.get(who) ?? { pid: holder?.pid, ours, at: [] };
    entry.at.push(`${address}:${port}`);
    held.set(who, entry);
  }
  return [...held].map(([who, { pid, ours, at }]) => {
    const details = { pid: pid ?? null, listeners: at };
    return ours
      ? ok(`${count(at.length, "listener")} of shipside, ${who}`, details)
      : warning(
          `${who} listens on ${some(at, 3)}`,
          "services whose port that is can't be served: stop it, or use another pool",
          details,
        );
  });
}

/** By what `ps` shows of it. */
async function isShipside(pid: number | undefined, context: DoctorContext): Promise<boolean> {
  if (pid === undefined) return false;
  const line = await readFile(context.file(`/proc/${pid}/cmdline`), "latin1").catch(() => "");
  return /shipside/.test(line);
}
