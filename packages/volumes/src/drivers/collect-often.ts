/** A few times less than what makes V8 collect its whole heap. */
const EVERY_BYTES = 4 * 1024 * 1024;

let passed = 0;

/**
 * For each piece of a bulk transfer. Its memory lies outside of V8's heap, and while it isn't let go V8 goes through all of the heap every 16 MiB
 * or so, which takes half of the process's time; the young part alone takes a tenth of that. Where the process was started with
 * `--expose-gc`, as the daemon is; elsewhere it does nothing.
 */
export function collectOften({ length }: Uint8Array): void {
  passed += length;
  if (passed < EVERY_BYTES) return;
  passed = 0;
  globalThis.gc?.({ type: "minor" });
}
