/** Where the platform's resolver looks. */
export function defaultHostsPath(platform: NodeJS.Platform, env: NodeJS.ProcessEnv = process.env): string {
  if (platform !== "win32") return "/etc/hosts";
  return `${env["SystemRoot"] ?? "C:\\Windows"}\\System32\\drivers\\etc\\hosts`;
}

export interface LineRules {
  /** For a file that has no line yet. */
  eol: "\n" | "\r\n";
  maxNames: number;
  /** Bytes of a line without its end. musl reads lines into 512 bytes and takes the rest for a line of its own. */
  maxBytes: number;
  /**
   * Whether `.local` names need an IPv6 line too: macOS asks multicast DNS for the AAAA record of a `.local` name that has none, and
   * waits 5 s for an answer that never comes.
   */
  ipv6ForLocal: boolean;
}

export function lineRules(platform: NodeJS.Platform): LineRules {
  return {
    eol: platform === "win32" ? "\r\n" : "\n",
    // Windows' resolver reads nine names of a line and ignores the rest.
    maxNames: platform === "win32" ? 9 : Number.POSITIVE_INFINITY,
    maxBytes: 500,
    ipv6ForLocal: platform === "darwin",
  };
}
