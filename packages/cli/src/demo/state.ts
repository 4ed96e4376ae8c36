import { constants } from "node:fs";
import { access, mkdir, mkdtemp, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stateDir } from "@shipside/daemon/client";

/** Where the demo keeps its journal: where every session does, so that a crash is cleaned up by the next command; else a temporary place. */
export async function demoStateDir(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = stateDir();
  try {
    const made = await mkdir(path, { recursive: true, mode: 0o700 });
    await access(path, constants.W_OK);
    return {
      path,
      async remove() {
        // Folders that were not there before go again, as far as they are empty.
        for (let dir = path; made !== undefined && dir.startsWith(made); dir = dirname(dir)) {
          if (
            !(await rmdir(dir).then(
              () => true,
              () => false,
            ))
          )
            break;
        }
      },
    };
  } catch {
    const temporary = await mkdtemp(join(tmpdir(), "shipside-demo-"));
    return { path: temporary, remove: () => rm(temporary, { recursive: true, force: true }) };
  }
}
