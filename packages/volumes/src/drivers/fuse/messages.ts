/** What the mounting process and the program of its mount say to each other. */

export interface ProgramOptions {
  localPath: string;
  remotePath: string;
  /** As `mount` and `df` show it. */
  source: string;
  readOnly: boolean;
  cacheSeconds: number;
  /** Below which is what it is to connect to. */
  doors: string;
}

/**
 * `stream`: the answer to `want`, with where to connect to if there is one. `beat`: whoever says it lives. `end`: to a program whose mount
 * can't be taken off from here.
 */
export type ToProgram = { beat: true } | { stream: number; path?: string } | { end: true };
export type FromProgram = { beat: true } | { want: number } | { mounted: true } | { failed: { code?: string; message: string } };
