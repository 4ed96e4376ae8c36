import type { Node } from "./nodes.ts";
import { DIRECTORY } from "./protocol.ts";
import type { SftpSession } from "./sftp-session.ts";

/**
 * What is being moved to another name: the server has done it before that is known here. While a directory is, no path below it is known, so nothing is asked
 * for by one.
 */
export interface Moves {
  /** Resolves when it is known what path this has, if nothing else is moved by then; undefined where it is. */
  of(node: Node | undefined): Promise<unknown> | undefined;
  /** It is being moved until this settles. */
  begin(node: Node, moved: Promise<unknown>): void;
  /**
   * Calls `work` with a session that stands, while no directory is being moved, nor `node`: what it sends before it waits for anything has the paths of that
   * moment. Rejects as `work` does, and where no session is to be had.
   */
  between<T>(work: (session: SftpSession) => T | Promise<T>, node?: Node): Promise<T>;
}

export function createMoves(current: () => SftpSession | Promise<SftpSession>): Moves {
  /** Of the directory that began last. */
  let underWay: Promise<unknown> | undefined;
  const moving = new Map<Node, Promise<unknown>>();
  const moves: Moves = {
    of: (node) => underWay ?? (node && moving.get(node)),
    begin(node, moved) {
      const over = moved
        .catch(() => {})
        .finally(() => {
          if (moving.get(node) === over) moving.delete(node);
          if (underWay === over) underWay = undefined;
        });
      moving.set(node, over);
      if (node.kind === DIRECTORY) underWay = over;
    },
    async between(work, node) {
      let session = await current();
      for (let over = moves.of(node); over; over = moves.of(node)) {
        await over;
        session = await current();
      }
      // At once: of two who waited, the first may begin to move something.
      return work(session);
    },
  };
  return moves;
}
