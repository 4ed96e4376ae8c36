import type { UserInfo } from "./user.ts";

export type Env = Readonly<Record<string, string>>;

/** Of one shell or one process, and wrong in another. */
const OF_THE_CALLER =
  /^(?:_|PWD|OLDPWD|SHLVL|COLUMNS|LINES|SUDO_\w+|DOAS_USER|NODE_CHANNEL_(?:FD|SERIALIZATION_MODE)|NODE_UNIQUE_ID)$/;

/** Where clusters, proxies, certificates and clouds are found. */
const CONFIGURATION =
  /^(?:KUBE\w*|(?:https?|no|all)_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR)|(?:AWS|AZURE|ARM|GOOGLE|CLOUDSDK|GCE|OCI|DIGITALOCEAN|IBMCLOUD|ALIBABA_CLOUD|TSH|TELEPORT|OKTA)_\w+|USE_GKE_GCLOUD_AUTH_PLUGIN)$/i;

const LOCALE = /^(?:LANG|LANGUAGE|LC_\w+|TZ)$/;

/** Kept for years in a file, so nothing that is a secret by its name. */
const SECRET = /(?:SECRET|TOKEN|PASSWORD|PASSPHRASE|KEY)(?!.*_(?:FILE|PATH|DIR)$)/i;

/** What a daemon that a user starts has of this process's environment: all but what belongs to the shell that started it. */
export function userEnv(env: NodeJS.ProcessEnv): Env {
  return pick(env, (name) => !OF_THE_CALLER.test(name));
}

/**
 * The same for a process that sudo made root: its HOME, PATH and the rest are root's. What says who the user is comes from the user
 * database; what finds clusters and clouds stays, as the user has asked sudo to keep it.
 */
export function userEnvOfRoot(env: NodeJS.ProcessEnv, user: UserInfo): Env {
  return { ...pick(env, (name) => CONFIGURATION.test(name) || LOCALE.test(name)), ...identity(user) };
}

const OWN = /^(?:HOME|USER|LOGNAME|SHELL|PATH|XDG_\w+_HOME|XDG_RUNTIME_DIR|NODE_OPTIONS)$/;

/** What a daemon has that is started at boot. `leftOut`: names of configuration that was not kept because it looks like a secret. */
export function bootEnv(env: NodeJS.ProcessEnv): { env: Env; leftOut: string[] } {
  const wanted = pick(env, (name) => OWN.test(name) || CONFIGURATION.test(name) || LOCALE.test(name));
  const leftOut = Object.keys(wanted).filter((name) => SECRET.test(name));
  return { env: pick(wanted, (name) => !leftOut.includes(name)), leftOut };
}

function identity({ name, home, shell, runtimeDir }: UserInfo): Env {
  return {
    HOME: home,
    PATH: "/usr/local/bin:/usr/bin:/bin",
    ...(name !== undefined && { USER: name, LOGNAME: name }),
    ...(shell !== undefined && { SHELL: shell }),
    ...(runtimeDir !== undefined && { XDG_RUNTIME_DIR: runtimeDir }),
  };
}

function pick(env: NodeJS.ProcessEnv, wanted: (name: string) => boolean): Env {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && wanted(entry[0])),
  );
}
