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
