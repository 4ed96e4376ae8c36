import { execFile } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { codeOf } from "@shipside/core";
import { daemonError } from "../../errors.ts";
import { checkLaunchRequest, type LaunchRequest, type UserIds } from "../request.ts";
import { launchdPlist } from "./launchd-plist.ts";
import { type BootPlaces, type BootService, bootPlaces, supportedPlaces } from "./places.ts";
import { changeableByOthers } from "./root-owned.ts";
import { systemdUnit } from "./systemd-unit.ts";

export interface InstallRequest {
  request: LaunchRequest;
  /** For people. */
  user: string;
  /** Start it now too. */
  start: boolean;
}

export interface Installed extends BootPlaces {
  /** Node was copied, because the one that was used isn't root's alone. */
  nodeCopied: boolean;
}

/** What undoing needs to know. */
interface Notes {
  /** The user's processes end with the last logout unless this is set; we set it. */
  lingerSet: boolean;
}

const run = promisify(execFile);

/** As root. Throws `INSTALL_UNSUPPORTED`, `INSTALL_UNSAFE`, `INSTALL_FAILED`; a later call replaces what an earlier one made. */
export async function install(ids: UserIds, { request, user, start }: InstallRequest): Promise<Installed> {
  const places = supportedPlaces(ids.uid);
  const launch = checkLaunchRequest(request);
  const { folder, definition, name } = places;
  try {
    const earlier = await readNotes(folder);
    const { node, nodeCopied } = await fill(folder, launch);
    const service: BootService = {
      uid: ids.uid,
      user,
      command: [node, join(folder, "helper/main.js"), "--uid", `${ids.uid}`, "--gid", `${ids.gid}`, "--installed"],
      input: join(folder, "start.json"),
    };
    const lingerSet = earlier.lingerSet || (await setLinger(ids.uid, launch));
    await writeFile(join(folder, "notes.json"), JSON.stringify({ lingerSet } satisfies Notes));
    await replace(definition, process.platform === "darwin" ? launchdPlist(service, name) : systemdUnit(service));
    if (process.platform === "darwin") {
      if (start) await run("launchctl", ["bootstrap", "system", definition]);
    } else {
      await run("systemctl", ["daemon-reload"]);
      await run("systemctl", ["enable", name]);
      if (start) await run("systemctl", ["start", name]);
    }
    return { ...places, nodeCopied };
  } catch (error) {
    throw coded(error, `could not set up ${name}`);
  }
}

/** Takes away exactly what `install` made, and ends it where it runs. Resolves to false where nothing was installed. */
export async function uninstall({ uid }: UserIds): Promise<boolean> {
  const places = bootPlaces(uid, process.platform);
  if (!places || !(existsSync(places.definition) || existsSync(places.folder))) return false;
  const { folder, definition, name } = places;
  try {
    const { lingerSet } = await readNotes(folder);
    if (existsSync(definition)) {
      if (process.platform === "darwin") await run("launchctl", ["bootout", `system/${name}`]).catch(() => {});
      else await run("systemctl", ["disable", "--now", name]);
      await rm(definition);
      if (process.platform !== "darwin") await run("systemctl", ["daemon-reload"]);
    }
    if (lingerSet) await run("loginctl", ["disable-linger", `${uid}`]);
    await rm(folder, { recursive: true, force: true });
    await rmdir(dirname(folder)).catch((error: unknown) => {
      // Another user's is there.
      if (codeOf(error) !== "ENOTEMPTY") throw error;
    });
    return true;
  } catch (error) {
    throw coded(error, `could not take ${name} away`);
  }
}

/** Makes the folder anew, beside the old one, and puts it in its place. */
async function fill(folder: string, launch: LaunchRequest): Promise<{ node: string; nodeCopied: boolean }> {
  const fresh = `${folder}.new`;
  await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
  const why = await changeableByOthers(dirname(folder));
  if (why !== undefined) {
    throw daemonError("INSTALL_UNSAFE", `${folder} can't hold what root runs at boot: ${why}`, {
      hint: `make it and the folders above it root's alone: chown root, chmod go-w`,
    });
  }
  await rm(fresh, { recursive: true, force: true });
  for (const dir of [fresh, join(fresh, "helper"), join(fresh, "launch")]) await mkdir(dir, { mode: 0o755 });
  const beside = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
  await copy(beside("../../helper/main.js"), join(fresh, "helper/main.js"), 0o644);
  await copy(beside("../launcher.js"), join(fresh, "launch/launcher.js"), 0o644);
  await writeFile(join(fresh, "package.json"), '{ "type": "module" }\n');
  const nodeCopied = (await changeableByOthers(process.execPath)) !== undefined;
  if (nodeCopied) await copy(process.execPath, join(fresh, "node"), 0o755);
  // Paths of the user's, and what its proxies ask for a password.
  await writeFile(join(fresh, "start.json"), `${JSON.stringify(launch)}\n`, { mode: 0o600 });
  await rm(folder, { recursive: true, force: true });
  await rename(fresh, folder);
  return { node: nodeCopied ? join(folder, "node") : process.execPath, nodeCopied };
}

/** A file of root's with the same bytes; `copyFile` would give it the owner of the other. */
async function copy(from: string, to: string, mode: number): Promise<void> {
  await writeFile(to, createReadStream(from), { flag: "wx", mode });
}

/** Resolves to whether it was us who set it. */
async function setLinger(uid: number, { env }: LaunchRequest): Promise<boolean> {
  if (process.platform !== "linux" || env["XDG_RUNTIME_DIR"] !== `/run/user/${uid}`) return false;
  const { stdout } = await run("loginctl", ["show-user", `${uid}`, "--property=Linger", "--value"]).catch(() => ({ stdout: "" }));
  if (stdout.trim() === "yes") return false;
  await run("loginctl", ["enable-linger", `${uid}`]);
  return true;
}

async function readNotes(folder: string): Promise<Notes> {
  const text = await readFile(join(folder, "notes.json"), "utf8").catch(() => "{}");
  return { lingerSet: (JSON.parse(text) as Partial<Notes>).lingerSet === true };
}

async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o644 });
  await rename(`${path}.new`, path);
}

function coded(error: unknown, what: string): Error {
  if (codeOf(error)?.startsWith("INSTALL_")) return error as Error;
  const { stderr, message } = error as Error & { stderr?: string };
  return daemonError("INSTALL_FAILED", `${what}: ${stderr?.trim() || message}`, {
    hint: "`shipside start --uninstall` takes away what is there of it",
    cause: error,
  });
}
