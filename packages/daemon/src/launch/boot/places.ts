import { existsSync } from "node:fs";
import { daemonError } from "../../errors.ts";

/** Where what runs as root at boot is kept, one of each for a user. */
export interface BootPlaces {
  /** Root's alone, with all folders above it. */
  folder: string;
  /** What the service manager reads. */
  definition: string;
  /** As the service manager knows it. */
  name: string;
}

export function bootPlaces(uid: number, platform: NodeJS.Platform): BootPlaces | undefined {
  if (platform === "linux") {
    const name = `shipside-${uid}.service`;
    return { folder: `/usr/local/lib/shipside/${uid}`, definition: `/etc/systemd/system/${name}`, name };
  }
  if (platform === "darwin") {
    const name = `shipside.helper.${uid}`;
    // Not below /usr/local, which Homebrew gives to a user.
    return {
      folder: `/Library/Application Support/Shipside/${uid}`,
      definition: `/Library/LaunchDaemons/${name}.plist`,
      name,
    };
  }
  return undefined;
}

/** The same on this machine, by what it was booted. Throws `INSTALL_UNSUPPORTED`. */
export function supportedPlaces(uid: number): BootPlaces {
  const places = bootPlaces(uid, process.platform);
  // sd_booted(3)
  const ready = process.platform === "darwin" || existsSync("/run/systemd/system");
  if (!places || !ready) {
    throw daemonError("INSTALL_UNSUPPORTED", "this machine was not booted by systemd or launchd", {
      hint: "have what starts your machine run `shipside start` as your user, where sudo asks for no password",
    });
  }
  if (import.meta.url.endsWith(".ts")) {
    throw daemonError("INSTALL_UNSUPPORTED", "from source there is nothing to copy", {
      hint: "build it, and run the built program",
    });
  }
  return places;
}

/** What the service manager starts, as root. */
export interface BootService {
  uid: number;
  /** For people. */
  user: string;
  /** Absolute path of Node, then its arguments. */
  command: readonly [string, ...string[]];
  /** The one line on its standard input is in this file. */
  input: string;
}
