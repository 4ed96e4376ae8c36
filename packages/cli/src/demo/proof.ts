import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { readdir, readFile, stat, unlink } from "node:fs/promises";
import { createConnection } from "node:net";
import { hasEnded, type ProcessStat, parseProcessStat } from "@shipside/core";

export interface Proof {
  /** SHA-256 of content, mode and owner. `others`: another shipside's lines came or went meanwhile, and are all that differs. */
  hosts: { path: string; before: string; after: string; identical: boolean; others: boolean };
  /** What is still there, in words; empty is what the demo promises. */
  residue: string[];
}

/** What the machine looks like before and after: taken by looking, not by remembering what was undone. */
export interface Witness {
  /** Notes what is to be gone in the end. */
  expectGone(what: { files?: readonly string[]; listeners?: readonly string[]; hostsOwner?: string }): void;
  /** Notes every process that this one has started, and theirs. */
  noteProcesses(): Promise<void>;
  examine(): Promise<Proof>;
}

export async function witness(hostsFile = "/etc/hosts"): Promise<Witness> {
  const before = await look(hostsFile);
  const backup = `${hostsFile}.shipside-backup`;
  const hadBackup = existsSync(backup);
  const files = new Set<string>();
  const listeners = new Set<string>();
  const processes = new Map<number, string>();
  let owner: string | undefined;

  return {
    expectGone(what) {
      for (const file of what.files ?? []) files.add(file);
      for (const listener of what.listeners ?? []) listeners.add(listener);
      owner ??= what.hostsOwner;
    },
    async noteProcesses() {
      for (const pid of await descendants(process.pid)) {
        const seen = lookAt(pid);
        if (seen) processes.set(pid, seen.start);
      }
    },
    async examine() {
      const after = await look(hostsFile);
      const residue: string[] = [];
      const identical = after.hash === before.hash;
      const ours = owner !== undefined && after.text.includes(`shipside:${owner}`);
      const others = !identical && !ours && withoutOurKind(after.text) === withoutOurKind(before.text);
      if (!identical && !others) residue.push(`${hostsFile} differs from what it was`);
      // The copy of the original is of no more use where the original stands again.
      if (identical && !hadBackup) await unlink(backup).catch(() => {});
      for (const file of files) if (existsSync(file)) residue.push(`file ${file}`);
      const open = await Promise.all(
        [...listeners].map(async (listener) => ((await answers(listener)) ? [`listener on ${listener}`] : [])),
      );
      residue.push(...open.flat());
      for (const [pid, start] of processes) {
        const now = lookAt(pid);
        if (now?.start === start) residue.push(`process ${pid} (${now.name})`);
      }
      return { hosts: { path: hostsFile, before: before.hash, after: after.hash, identical, others }, residue };
    },
  };
}

async function look(path: string): Promise<{ hash: string; text: string }> {
  try {
    const [content, { mode, uid, gid }] = await Promise.all([readFile(path), stat(path)]);
    const hash = createHash("sha256").update(content).update(`${mode} ${uid} ${gid}`).digest("hex");
    return { hash, text: content.toString("latin1") };
  } catch {
    return { hash: "absent", text: "" };
  }
}

/** Lines that any shipside wrote end in its tag, or are its markers. */
const withoutOurKind = (text: string): string => text.replace(/^.*# (?:>>> |<<< )?shipside:.*\n?/gm, "");

function answers(listener: string): Promise<boolean> {
  const at = listener.lastIndexOf(":");
  return new Promise((resolve) => {
    const socket = createConnection({ host: listener.slice(0, at), port: Number(listener.slice(at + 1)), timeout: 500 });
    const done = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on("connect", done(true));
    socket.on("timeout", done(false));
    socket.on("error", done(false));
  });
}

/** Undefined for one that is gone, or that only waits to be taken note of. */
function lookAt(pid: number): ProcessStat | undefined {
  try {
    const stat = parseProcessStat(readFileSync(`/proc/${pid}/stat`, "latin1"));
    return stat && !hasEnded(stat) ? stat : undefined;
  } catch {
    return undefined;
  }
}

/** Linux; elsewhere none, and the embedded cluster's own word counts. */
async function descendants(root: number): Promise<number[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((entry) => /^\d+$/.test(entry)).map(Number);
  const parents = new Map(pids.map((pid) => [pid, lookAt(pid)?.parent]));
  const found = new Set([root]);
  for (let grew = true; grew; ) {
    grew = false;
    for (const [pid, parent] of parents) {
      if (parent === undefined || found.has(pid) || !found.has(parent)) continue;
      found.add(pid);
      grew = true;
    }
  }
  found.delete(root);
  return [...found];
}
