import { access, constants, readFile } from "node:fs/promises";

/** What only root can do on this machine, in words that follow "without root: no …"; empty where this process can do it all. */
export async function needsRoot(): Promise<string[]> {
  if (process.platform === "win32" || process.getuid?.() === 0) return [];
  const writable = await access("/etc/hosts", constants.W_OK).then(
    () => true,
    () => false,
  );
  const first = await firstFreePort();
  return [
    ...(writable ? [] : ["names in the hosts file (the commands you give after `--` have them)"]),
    ...(first > 1 ? [`ports below ${first}`] : []),
    ...(process.platform === "darwin" ? ["loopback addresses besides 127.0.0.1"] : []),
  ];
}

/** ip_unprivileged_port_start of ip-sysctl; elsewhere the 1024 of old. */
async function firstFreePort(): Promise<number> {
  const text = await readFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", "latin1").catch(() => "1024");
  return Number(text);
}
