import type { BootService } from "./places.ts";

/** The unit as systemd.service(5) and systemd.exec(5) have it. */
export function systemdUnit({ uid, user, command, input }: BootService): string {
  return `[Unit]
Description=Shipside for ${oneLine(user)}: names and ports of cluster services on this machine
# The user's runtime folder, where the control socket is.
Wants=user@${uid}.service
After=user@${uid}.service network.target

[Service]
Type=exec
ExecStart=${command.map(execWord).join(" ")}
StandardInput=file:${specifiers(input)}
StandardOutput=journal
StandardError=journal
# The helper gets the signal, and lets the daemon close its sessions first.
KillMode=mixed
TimeoutStopSec=45
Restart=on-failure
RestartSec=2
UMask=0077

[Install]
WantedBy=multi-user.target
`;
}

/** One argument of a command line: quoted, with `%` (specifiers) and `$` (variables) meaning themselves. */
function execWord(word: string): string {
  const plain = specifiers(word).replaceAll("$", "$$$$");
  return /^[\w./:@=+,-]+$/.test(plain) ? plain : `"${plain.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}

const specifiers = (text: string): string => text.replaceAll("%", "%%");
const oneLine = (text: string): string => specifiers(text).replace(/[\p{Cc}\\]/gu, "?");
