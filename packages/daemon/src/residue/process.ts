import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf, identify, isRunning, type ProcessIdentity, pidOf } from "@shipside/core";
import type { Journal } from "../journal.ts";
import type { ResidueKind } from "./kind.ts";

interface ProcessData extends Record<string, unknown> {
  /** What it is, for a person: the program's name. Never its arguments, in which there may be a secret. */
  program: string;
  /** The value of {@link MARK} in its environment, by which one is found whose pid could not be noted down any more. Linux. */
  mark: string;
  /** Known as soon as it runs. */
  process?: ProcessIdentity;
}

const MARK = "SHIPSIDE_RECORD";
const GRACE_MS = 2_000;

export interface MadeProcess<P> {
  readonly child: P;
  /** SIGTERM, after 2 s SIGKILL; resolves when it is gone and struck out. */
  end(): Promise<void>;
  /** To be called where it has ended by itself: strikes it out. */
  ended(): Promise<void>;
}

/**
 * Starts a process that is ended whatever happens to this one. `start` gets the variable to put into its environment, and returns what it
 * started; it rejects, or throws, where nothing was.
 */
export async function makeProcess<P extends { readonly pid?: number | undefined }>(
  journal: Journal,
  program: string,
  start: (env: Readonly<Record<string, string>>) => P | Promise<P>,
  session?: string,
): Promise<MadeProcess<P>> {
  let data: ProcessData = { program, mark: `${journal.run}-${randomBytes(4).toString("hex")}` };
  let undone = await journal.record({ kind: processResidue.kind, data }, session);
  let child: P;
  try {
    child = await start({ [MARK]: data.mark });
  } catch (error) {
    await undone();
    throw error;
  }
  if (child.pid !== undefined) {
    data = { ...data, process: await identify(child.pid) };
    const before = undone;
    try {
      undone = await journal.record({ kind: processResidue.kind, data }, session);
    } catch (error) {
      await endProcess(data).then(before);
      throw error;
    }
    await before();
  }
  return {
    child,
    async end() {
      await endProcess(data);
      await undone();
    },
    ended: () => undone(),
  };
}

async function endProcess(data: ProcessData): Promise<void> {
  const found = await find(data);
  await Promise.all(found.map(endOne));
}

async function find({ process: identity, mark }: ProcessData): Promise<ProcessIdentity[]> {
  if (identity !== undefined) return (await isRunning(identity)) === true ? [identity] : [];
  if (process.platform !== "linux") return [];
  const marked: ProcessIdentity[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    // Another user's can't be read, and isn't ours.
    const env = await readFile(`/proc/${name}/environ`, "latin1").catch(() => "");
    if (env.split("\0").includes(`${MARK}=${mark}`)) marked.push(await identify(Number(name)));
  }
  return marked;
}

async function endOne(identity: ProcessIdentity): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    try {
      process.kill(pidOf(identity), signal);
    } catch (error) {
      if (codeOf(error) === "ESRCH") return;
      throw error;
    }
    const deadline = Date.now() + GRACE_MS;
    while (Date.now() < deadline) {
      if ((await isRunning(identity)) !== true) return;
      await delay(20);
    }
  }
  throw new Error(`process ${pidOf(identity)} is still there after SIGKILL`);
}

export const processResidue: ResidueKind<ProcessData> = {
  kind: "process",
  place: "machine",
  describe: ({ program, process: identity }) =>
    `process ${identity === undefined ? program : `${program} (pid ${pidOf(identity)})`}`,
  undo: endProcess,
  async left(data) {
    return (await find(data)).length > 0 ? processResidue.describe(data) : undefined;
  },
};
