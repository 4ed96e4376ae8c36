/**
 * The privileged process: `main --uid UID --gid GID [--installed]`, as root. Its places are written here: neither argv nor the environment
 * has a say in them.
 */
import { helperMain } from "./helper-main.ts";
import { LAUNCHER } from "./launch.ts";

const ledger = process.platform === "darwin" ? "/var/db/shipside" : "/var/lib/shipside";
await helperMain({ hosts: "/etc/hosts", ledger, log: "/var/log/shipside-helper.log" }, LAUNCHER);
