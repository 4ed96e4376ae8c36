import { createHash, randomBytes } from "node:crypto";
import { constants, copyFile, open, readFile, realpath, rename, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import {
  type Closable,
  codeOf,
  createTurns,
  type EnvEntry,
  type EnvFormat,
  hasCode,
  type Logger,
  silentLogger,
} from "@shipside/core";
import { envError } from "./errors.ts";
import { formatForFile, formatNamed, renderWhatFits } from "./formats/registry.ts";

export interface EnvFileOptions {
  /** A format, or the name of one of ours. Default: by the file's name. */
  format?: EnvFormat | string;
  /** The digest of what an earlier process wrote there, which is then ours to replace. See {@link EnvFile.digest}. */
  ours?: string;
  /** Leave out what the format can't hold rather than fail with `ENV_UNREPRESENTABLE`; `skipped` says what. Default false. */
  skipUnrepresentable?: boolean;
  /** Awaited before anything is written: for a record that outlives a crash. A rejection is one of the writing. */
  onReplace?: (next: EnvFileReplacement) => Promise<void>;
  logger?: Logger;
}

/** What is about to be at the file's path. */
export interface EnvFileReplacement {
  /** SHA-256, in hex. */
  digest: string;
  /** The file beside it that becomes it. */
  temporary: string;
}

/** A written env file. `close` deletes it if it still is what was written. */
export interface EnvFile extends Closable {
  /** Absolute. */
  readonly path: string;
  /** SHA-256 of what was written last, in hex: how a later process knows the file for ours. */
  readonly digest: string;
  /** Names that the format can't hold. */
  readonly skipped: readonly string[];
  /** Where content that was not ours was kept, before it would have been overwritten or deleted. */
  readonly kept: readonly string[];
  write(entries: readonly EnvEntry[]): Promise<void>;
}

/**
 * Writes entries to a file that only this user may read (0600): as a whole or not at all. What stands there and is not ours (an
 * older file, a person's edit) is first kept aside as `FILE.kept`, `FILE.kept-2`, …; it is never lost.
 * Rejects with `ENV_FILE_UNWRITABLE`, `ENV_UNREPRESENTABLE`, `ENV_FORMAT_UNKNOWN`; then the file is as it was.
 */
export async function writeEnvFile(file: string, entries: readonly EnvEntry[], options: EnvFileOptions = {}): Promise<EnvFile> {
  const path = resolve(file);
  const { format: wanted, skipUnrepresentable = false, logger = silentLogger } = options;
  const format = typeof wanted === "string" ? formatNamed(wanted) : (wanted ?? formatForFile(path));
  const kept: string[] = [];
  let digest = options.ours ?? "";
  let skipped: string[] = [];
  const turns = createTurns();

  /** The bytes at `path` where they are not ours, else undefined. */
  const foreign = async (): Promise<Buffer | undefined> => {
    const bytes = await readIfThere(path);
    return bytes !== undefined && digestOf(bytes) !== digest ? bytes : undefined;
  };
  const keepAside = async (): Promise<void> => {
    for (let number = 1; ; number++) {
      const aside = number === 1 ? `${path}.kept` : `${path}.kept-${number}`;
      try {
        await copyFile(path, aside, constants.COPYFILE_EXCL);
      } catch (error) {
        if (codeOf(error) === "EEXIST") continue;
        throw error;
      }
      kept.push(aside);
      logger.warn("the env file was not what we wrote; it is kept aside", { path, kept: aside });
      return;
    }
  };

  const self: EnvFile = {
    path,
    get digest() {
      return digest;
    },
    get skipped() {
      return skipped;
    },
    get kept() {
      return kept;
    },
    write: (next) =>
      turns.run(async () => {
        if (turns.ended) throw envError("ENV_FILE_UNWRITABLE", `${path} was closed`, { hint: "write another with writeEnvFile" });
        const rendered = skipUnrepresentable ? renderWhatFits(next, format) : { text: format.render(next), skipped: [] };
        try {
          const bytes = Buffer.from(rendered.text);
          // A symbolic link stays.
          const target = await realpath(path).catch(() => path);
          const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.tmp`);
          await options.onReplace?.({ digest: digestOf(bytes), temporary });
          if (await foreign()) await keepAside();
          await replace(target, temporary, bytes);
          digest = digestOf(bytes);
          skipped = rendered.skipped;
        } catch (error) {
          throw unwritable(path, error);
        }
      }),
    close: () =>
      turns.end(async () => {
        try {
          if (await foreign()) await keepAside();
          await unlink(path);
        } catch (error) {
          if (codeOf(error) !== "ENOENT") throw unwritable(path, error);
        }
      }),
    [Symbol.asyncDispose]: () => self.close(),
  };
  await self.write(entries);
  return self;
}

const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** By a new file and a rename, so that a reader sees the old one or the new one. */
async function replace(target: string, temporary: string, bytes: Uint8Array): Promise<void> {
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

function unwritable(path: string, cause: unknown): Error {
  const hint = hasCode(cause, "ENOENT")
    ? `make the folder ${dirname(path)} first`
    : "check the folder's permissions and the free space";
  return envError("ENV_FILE_UNWRITABLE", `could not write the env file ${path}`, { cause, hint });
}
