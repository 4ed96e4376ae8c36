import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Every read of a socket makes a buffer outside of V8's heap. V8 answers a growing amount of that with a full collection, which walks
 * the whole heap, long before its new space is full and a cheap one would have freed them; with a large heap (a Kubernetes client's
 * is tens of MB) that took half of the CPU of a bulk transfer. Asking for the cheap one every now and then does away with it; at four
 * times this distance full ones were seen again.
 */
const EVERY_BYTES = 4 * 1024 * 1024;

type Collect = (options: { type: "minor" }) => void;

/** Tells that so many bytes were received or sent. */
export type Relief = (bytes: number) => void;

let collect: Collect | undefined;
let looked = false;

function findCollector(): Collect | undefined {
  if (looked) return collect;
  looked = true;
  try {
    // Only a context made while the flag is set gets the function; nobody else sees it.
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as Collect;
    setFlagsFromString("--no-expose-gc");
  } catch {
    // Another engine, or not allowed here: everything works without, only dearer.
  }
  return collect;
}

export function createRelief(): Relief {
  let since = 0;
  return (bytes) => {
    since += bytes;
    if (since < EVERY_BYTES) return;
    since = 0;
    findCollector()?.({ type: "minor" });
  };
}
