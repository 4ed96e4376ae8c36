import { setTimeout as sleep } from "node:timers/promises";

const LOOK_MS = 150;
const LOOKS = 4;
const LATEST_MS = 15_000;

/**
 * What a count has come to once it has grown from nothing and then stayed the same for 0.6 s: how much a sender was let send to
 * somebody who doesn't read. Throws where it still grows, or is nothing yet, after 15 s.
 */
export async function standstill(count: () => number): Promise<number> {
  const deadline = Date.now() + LATEST_MS;
  for (let last = 0, same = 0; same < LOOKS; ) {
    if (Date.now() > deadline) throw new Error(`no standstill within ${LATEST_MS / 1000} s: it came to ${last}`);
    await sleep(LOOK_MS);
    const now = count();
    same = now > 0 && now === last ? same + 1 : 0;
    last = now;
  }
  return count();
}
