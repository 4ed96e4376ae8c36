import { createServer, type Server } from "node:net";
import { nodeError } from "../errors.ts";

export interface AddressPool {
  take(): string;
  give(address: string): void;
}

const toNumber = (address: string): number => address.split(".").reduce((number, octet) => number * 256 + Number(octet), 0);
const toAddress = (number: number): string => [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");

/** `size` addresses from `first` on, round and round, so that a freed one isn't given out again at once. */
export function createAddressPool(first: string, size = 65_000): AddressPool {
  const taken = new Set<number>();
  const base = toNumber(first);
  let next = 0;
  return {
    take() {
      if (taken.size >= size) {
        throw nodeError("NODE_ADDRESSES_EXHAUSTED", `all ${size} addresses from ${first} on are in use`, {
          hint: "delete pods or services first",
        });
      }
      while (taken.has(next)) next = (next + 1) % size;
      const n = next;
      taken.add(n);
      next = (n + 1) % size;
      return toAddress(base + n);
    },
    give: (address) => void taken.delete(toNumber(address) - base),
  };
}

/** Pods' loopback addresses, and services'. 127.72.0.0/14 is the tunnel's. */
const POD_BLOCKS = toNumber("127.64.0.0");
const SERVICE_BLOCKS = toNumber("127.66.0.0");
const BLOCK = 2048;
const BLOCKS = 64;
/** Listened on at a block's first address by the node that has it. */
const CLAIM_PORT = 64_640;

export interface LoopbackBlock {
  pods: AddressPool;
  services: AddressPool;
  close(): Promise<void>;
}

/**
 * A block of loopback addresses that no other node of this machine uses: it is held by a listening socket, which ends with the process.
 * Undefined where the machine lets nobody listen there (macOS has 127.0.0.1 alone).
 */
export async function claimLoopbackBlock(): Promise<LoopbackBlock | undefined> {
  const start = Math.floor(Math.random() * BLOCKS);
  for (let i = 0; i < BLOCKS; i++) {
    const offset = ((start + i) % BLOCKS) * BLOCK;
    const claim = await listen(toAddress(POD_BLOCKS + offset + 1));
    if (claim === "taken") continue;
    if (claim === "impossible") return undefined;
    return {
      pods: createAddressPool(toAddress(POD_BLOCKS + offset + 2), BLOCK - 3),
      services: createAddressPool(toAddress(SERVICE_BLOCKS + offset + 2), BLOCK - 3),
      close: () => new Promise((resolve) => void claim.close(() => resolve())),
    };
  }
  throw nodeError("NODE_ADDRESSES_EXHAUSTED", `all ${BLOCKS} blocks of loopback addresses are in use by other nodes`, {
    hint: "close other clusters of this machine",
  });
}

function listen(address: string): Promise<Server | "taken" | "impossible"> {
  return new Promise((resolve) => {
    const server = createServer((socket) => void socket.destroy());
    server.unref();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EADDRINUSE" ? "taken" : "impossible"));
    server.listen(CLAIM_PORT, address, () => resolve(server));
  });
}
