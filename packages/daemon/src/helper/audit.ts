import { closeSync, constants, fstatSync, openSync, renameSync, writeSync } from "node:fs";

/** The helper's log: a line of JSON for each request, and for what becomes of it. Never throws: a full disk must not keep us from undoing. */
export interface Audit {
  /** What happens once in a helper's life, or a few times. */
  write(event: string, fields?: Readonly<Record<string, unknown>>): void;
  /** What the daemon can make happen as often as it likes: bounded, and what is left out is counted. */
  request(event: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Says how many lines were left out, and closes the file. */
  close(): void;
}

export interface AuditOptions {
  /** Made with mode 0600. At most twice `maxBytes` are kept, the older half as `<path>.1`. */
  path: string;
  /** On every line. */
  base: Readonly<Record<string, unknown>>;
  maxBytes?: number;
  /** Lines for requests: at once, and then a second. */
  burst?: number;
  perSecond?: number;
  now?: () => number;
}

/** Lines left out are counted by event, and the counts are a line. */
export function openAudit(options: AuditOptions): Audit {
  const { path, base, maxBytes = 4 * 1024 * 1024, burst = 200, perSecond = 50, now = Date.now } = options;
  let left = burst;
  let last = now();
  let omitted: Record<string, number> = {};
  let fd: number | undefined;

  const open = (): number =>
    openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);

  const append = (event: string, fields: Readonly<Record<string, unknown>>): void => {
    try {
      fd ??= open();
      if (fstatSync(fd).size > maxBytes) {
        closeSync(fd);
        fd = undefined;
        renameSync(path, `${path}.1`);
        fd = open();
      }
      writeSync(fd, `${JSON.stringify({ time: new Date(now()).toISOString(), ...base, event, ...fields })}\n`);
    } catch {
      // Nobody is there to be told.
    }
  };

  const sayOmitted = (): void => {
    if (Object.keys(omitted).length === 0) return;
    const lines = omitted;
    omitted = {};
    append("omitted", { lines });
  };

  return {
    write(event, fields = {}) {
      sayOmitted();
      append(event, fields);
    },
    request(event, fields = {}) {
      const time = now();
      left = Math.min(burst, left + (Math.max(0, time - last) / 1000) * perSecond);
      last = time;
      if (left < 1) {
        omitted[event] = (omitted[event] ?? 0) + 1;
        return;
      }
      left--;
      sayOmitted();
      append(event, fields);
    },
    close() {
      sayOmitted();
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
