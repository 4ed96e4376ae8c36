import type { Entries } from "./entries.ts";
import type { Node } from "./nodes.ts";
import { PIECE, request } from "./sftp-packets.ts";
import type { SftpSession } from "./sftp-session.ts";

/** Bytes of a file that were asked for before the kernel asked. */
export interface Stretch {
  readonly from: number;
  /** Where they go: so many were asked for. */
  readonly place: Buffer;
  /** How many there are: fewer at the file's end. Rejects where they couldn't be had. */
  readonly found: Promise<number>;
  /** Until when they may be taken as so, in ms: for a while from when they came, since on a slow line what is far ahead takes its time. */
  until(): number;
  /** Whether that is past, or the file is known to have become another since they were asked for. */
  isOver(): boolean;
  /** Whether the file is known to be what it was, however long ago they came: its attributes are believed as yet, and would tell. */
  isSame(): boolean;
}

/** What stretches are of. */
export interface StretchSource {
  node: Node;
  session: Pick<SftpSession, "readInto">;
  /** The server's handle. */
  remote: string;
  entries: Pick<Entries, "ask" | "isSettled" | "isWritten">;
}

/** From there on, as much as the place has room for. */
export function askFor({ node, session, remote, entries }: StretchSource, from: number, place: Buffer): Stretch {
  const asked = entries.ask();
  const isSettled = entries.isSettled(node);
  let until = Number.POSITIVE_INFINITY;
  const found = session.readInto(request.read(remote, from, place.length), place);
  found.then(
    () => {
      until = entries.ask().until;
    },
    () => {},
  );
  return {
    ...{ from, place, found },
    until: () => until,
    isOver: () => until <= performance.now() || entries.isWritten(node, asked),
    isSame: () => isSettled && performance.now() < (node.sameUntil ?? 0) && !entries.isWritten(node, asked),
  };
}

/**
 * Of a file that is read from here to there asks for what comes next, as the kernel does. The kernel's own read-ahead is 128 KiB where root
 * doesn't raise it, which is two requests on their way: too few where the way is long.
 */
export interface ReadAhead {
  /** The one that has this byte, if it holds still. */
  at(offset: number): Stretch | undefined;
  /** The kernel has asked for these. Returns whether they lie elsewhere than what it asked for before. */
  follow(offset: number, size: number): boolean;
  close(): void;
}

export interface ReadAheadOptions extends StretchSource {
  rooms: Rooms;
  /** What is there from the beginning. */
  first?: Stretch | undefined;
}

/** Larger requests, in bytes, are of a kernel that reads ahead as far as it takes. */
const KERNELS_OWN = 128 * 1024;
/** With so much read in sequence, in bytes, it goes on so; before, the kernel's requests are still growing. */
const SEQUENCE = 256 * 1024;
/** The farthest that is asked ahead, in bytes: 20 ms at 100 MB/s. */
const FARTHEST = 2 * 1024 * 1024;

export function createReadAhead({ rooms, first, ...source }: ReadAheadOptions): ReadAhead {
  let stretches: Stretch[] = [];
  let next = 0;
  let run = 0;
  let reach = 0;
  const end = ({ from, place }: Stretch): number => from + place.length;
  const has = (stretch: Stretch, offset: number): boolean => stretch.from <= offset && offset < end(stretch);
  const keep = (wanted: (stretch: Stretch) => boolean): void => {
    if (stretches.length === 0) return;
    const [kept, gone]: [Stretch[], Stretch[]] = [[], []];
    for (const stretch of stretches) (wanted(stretch) ? kept : gone).push(stretch);
    stretches = kept;
    for (const { found, place } of gone) {
      // Whoever takes bytes of it has begun to wait for it before.
      const give = (): void => rooms.give(place);
      found.then(give, give);
    }
  };
  const sweep = (): void => keep((stretch) => !stretch.isOver());
  const add = (stretch: Stretch): void => {
    stretches.push(stretch);
    // Nobody may read any more of a file that is left open.
    stretch.found.then(() => setTimeout(sweep, stretch.until() - performance.now() + 1).unref(), sweep);
  };
  if (first) add(first);
  return {
    at(offset) {
      sweep();
      return stretches.find((stretch) => has(stretch, offset));
    },
    follow(offset, size) {
      const isElsewhere = offset !== next;
      if (isElsewhere) {
        run = 0;
        reach = 0;
        keep((stretch) => has(stretch, offset));
      }
      next = offset + size;
      run += size;
      if (run < SEQUENCE || size > KERNELS_OWN) return isElsewhere;
      keep((stretch) => end(stretch) > offset);
      reach = Math.max(reach, next);
      while (reach < next + Math.min(run, FARTHEST)) {
        const place = rooms.take();
        if (!place) break;
        add(askFor(source, reach, place));
        reach += place.length;
      }
      return isElsewhere;
    },
    close: () => keep(() => false),
  };
}

/** Where what is asked for ahead goes, of all files. */
export interface Rooms {
  /** Undefined where too much is there already. */
  take(): Buffer | undefined;
  give(place: Buffer): void;
}

/** Of all files, in pieces. */
const MOST = 64;

export function createRooms(): Rooms {
  const free: Buffer[] = [];
  let made = 0;
  return {
    take() {
      const found = free.pop();
      if (found || made >= MOST) return found;
      made++;
      return Buffer.allocUnsafeSlow(PIECE);
    },
    give(place) {
      if (place.length === PIECE) free.push(place);
    },
  };
}
