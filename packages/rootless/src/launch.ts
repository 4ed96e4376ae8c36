import { fileURLToPath } from "node:url";

const source = import.meta.url.endsWith(".ts");
const agent = fileURLToPath(new URL(`./agent/main.${source ? "ts" : "js"}`, import.meta.url));

export interface LaunchOptions {
  /** Node's, which the agent runs on. */
  execPath: string;
  /** A folder that is there on every machine: a file system is mounted over it for a moment. */
  scratch: string;
  /** Of which the namespaces have copies of their own in their place. */
  files: readonly string[];
}

/** What of it says why it failed comes by this descriptor; the command's standard error is parked at the next one meanwhile. */
export const SAID_FD = 4;
const PARKED_FD = 5;

/**
 * The command line that makes the namespaces and the agent in them: user, network, mount, host name and process namespaces, as their root. The first
 * process is a shell, which reaps what loses its parent; when the agent ends, so does it, and with it the kernel ends all others. Where
 * `unshare` is killed, the kernel kills the first process (`--kill-child`).
 * What signals a terminal sends is the command's to get: everything on the way to it ignores them.
 */
export function launchLine({ execPath, scratch, files }: LaunchOptions): string[] {
  const inside = ["sh", "-c", SETUP, "shipside", execPath, agent, scratch, ...files];
  return ["sh", "-c", OUTSIDE, "shipside", "unshare", ...NAMESPACE_FLAGS, "--", ...inside];
}

/** Of util-linux' `unshare`. What is mounted outside later is seen inside. */
export const NAMESPACE_FLAGS: readonly string[] = [
  ...["--user", "--map-root-user", "--net", "--mount", "--propagation", "slave"],
  ...["--uts", "--pid", "--fork", "--kill-child"],
];

/** Each command has another user namespace, in which it has the user's ids: whether that can be had. */
export const AGAIN = "unshare --user true";

/** `ip` stands where an ordinary user's PATH doesn't lead. */
export const withSystemPath = ({ PATH = "" }: NodeJS.ProcessEnv): { PATH: string } => ({
  PATH: `${PATH}:/usr/sbin:/sbin`,
});

const OUTSIDE = `trap '' INT QUIT HUP TERM TSTP; exec ${PARKED_FD}>&2 2>&${SAID_FD}; exec "$@"`;

/**
 * Private files: a file system in memory holds copies, each is mounted over its original, and the file system itself goes out of sight.
 * `/proc` is that of the process namespace where the kernel allows it (in a container it may not: then programs see the machine's).
 * A program of the user's may listen below 1024, as in a container. The agent is no `exec`: this shell stays, as the first process.
 */
const SETUP = `
set -e
node=$1 agent=$2 scratch=$3
shift 3
mount -t proc proc /proc 2>/dev/null || true
mount -t tmpfs -o mode=755 shipside "$scratch"
count=0
for file; do
  count=$((count + 1))
  cat "$file" > "$scratch/$count"
  mount --bind "$scratch/$count" "$file"
done
umount -l "$scratch"
ip link set lo up
${AGAIN}
{ echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start; } 2>/dev/null || true
exec 2>&${PARKED_FD} ${PARKED_FD}>&- ${SAID_FD}>&-
"$node" "$agent"
`;
