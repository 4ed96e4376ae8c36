import { codeOf } from "@shipside/core";

/** What a script can tell apart. Signals are 128 + n: 129 hangup, 130 interrupt, 143 termination. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  /** `env diff`, as diff(1) has it. */
  differs: 1,
  usage: 2,
  /** The kubeconfig, or what it points to. */
  config: 3,
  /** The API server can't be reached, or answers nonsense. */
  unreachable: 4,
  /** Who we are, or what we may do. */
  forbidden: 5,
  notFound: 6,
  /** This machine: hosts file, addresses, ports, files. */
  machine: 7,
  /** The background process. */
  daemon: 8,
  /** The workload's env can't be had, or not be written in that form. */
  env: 9,
  /** Something could not be undone. */
  residue: 10,
  /** The worst that `doctor` saw. */
  doctorWarning: 11,
  doctorProblem: 12,
  /** The cluster, or who else works in it, doesn't let its traffic come here. */
  relay: 13,
  commandFailed: 126,
  commandNotFound: 127,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Every code of every package's catalog; a test holds it complete. */
export const EXIT_CODE_OF: Readonly<Record<string, ExitCode>> = {
  ABORTED: EXIT.unexpected,
  LOCK_HELD: EXIT.machine,
  PLUGIN_INVALID: EXIT.usage,
  UNEXPECTED: EXIT.unexpected,

  USAGE: EXIT.usage,
  DEMO_FAILED: EXIT.unexpected,

  DAEMON_UNREACHABLE: EXIT.daemon,
  DAEMON_RUNNING: EXIT.daemon,
  DAEMON_VERSION: EXIT.daemon,
  DAEMON_PROTOCOL: EXIT.daemon,
  DAEMON_GONE: EXIT.daemon,
  DAEMON_START_FAILED: EXIT.daemon,
  HELPER_FAILED: EXIT.daemon,
  HELPER_RUNNING: EXIT.daemon,
  HELPER_REFUSED: EXIT.daemon,
  HELPER_LIMIT: EXIT.machine,
  HELPER_GONE: EXIT.daemon,
  HELPER_VERSION: EXIT.daemon,
  LAUNCH_FAILED: EXIT.daemon,
  ROOT_UNAVAILABLE: EXIT.machine,
  ROOT_REFUSED: EXIT.machine,
  ROOT_USER_UNKNOWN: EXIT.machine,
  INSTALL_UNSUPPORTED: EXIT.machine,
  INSTALL_UNSAFE: EXIT.machine,
  INSTALL_FAILED: EXIT.machine,
  RUNTIME_DIR_UNSAFE: EXIT.machine,
  JOURNAL_FAILED: EXIT.machine,
  SESSION_OPTIONS: EXIT.usage,
  SESSION_UNKNOWN: EXIT.notFound,
  SESSION_NAME_TAKEN: EXIT.usage,
  SESSION_CLOSED: EXIT.unexpected,
  PROFILE_MISSING: EXIT.notFound,
  PROFILE_INVALID: EXIT.usage,
  PROFILE_UNTRUSTED: EXIT.usage,
  PROFILE_NAME: EXIT.usage,
  PROFILE_UNWRITABLE: EXIT.machine,
  PROFILE_KIND_UNAVAILABLE: EXIT.usage,
  NAME_TAKEN: EXIT.machine,
  NAMESPACE_GONE: EXIT.notFound,
  ENV_INCOMPLETE: EXIT.env,
  ENV_FILE_KEPT: EXIT.env,
  PROBE_NAME: EXIT.machine,
  PROBE_LISTENER: EXIT.machine,
  PROBE_NO_POD: EXIT.unreachable,
  PROBE_TIMEOUT: EXIT.unreachable,
  HOOK_FAILED: EXIT.unexpected,
  COMMAND_NOT_FOUND: EXIT.commandNotFound,
  COMMAND_FAILED: EXIT.commandFailed,
  BUNDLE_UNWRITABLE: EXIT.machine,
  UNDO_FAILED: EXIT.residue,

  KUBE_NO_CONFIG: EXIT.config,
  KUBE_CONFIG_INVALID: EXIT.config,
  KUBE_OPTION_INVALID: EXIT.usage,
  KUBE_CONTEXT_UNKNOWN: EXIT.config,
  KUBE_AUTH_PLUGIN_FAILED: EXIT.forbidden,
  KUBE_AUTH_PLUGIN_TIMEOUT: EXIT.forbidden,
  KUBE_UNAUTHORIZED: EXIT.forbidden,
  KUBE_FORBIDDEN: EXIT.forbidden,
  KUBE_UNREACHABLE: EXIT.unreachable,
  KUBE_TLS: EXIT.unreachable,
  KUBE_TIMEOUT: EXIT.unreachable,
  KUBE_NOT_FOUND: EXIT.notFound,
  KUBE_NAMESPACE_UNKNOWN: EXIT.notFound,
  KUBE_CONFLICT: EXIT.unexpected,
  KUBE_INVALID: EXIT.unexpected,
  KUBE_GONE: EXIT.unexpected,
  KUBE_THROTTLED: EXIT.unreachable,
  KUBE_SERVER_ERROR: EXIT.unreachable,
  KUBE_PROTOCOL: EXIT.unreachable,
  KUBE_KIND_UNKNOWN: EXIT.usage,
  KUBE_WORKLOAD_UNKNOWN: EXIT.notFound,
  KUBE_WORKLOAD_AMBIGUOUS: EXIT.usage,
  KUBE_NO_LIVE_POD: EXIT.notFound,
  KUBE_EXEC_FAILED: EXIT.unexpected,
  KUBE_CLOSED: EXIT.unexpected,

  HOSTS_INVALID_OPTION: EXIT.usage,
  HOSTS_INVALID_ENTRY: EXIT.unexpected,
  HOSTS_MISSING: EXIT.machine,
  HOSTS_UNREADABLE: EXIT.machine,
  HOSTS_UNWRITABLE: EXIT.machine,
  HOSTS_DISK_FULL: EXIT.machine,
  HOSTS_ENCODING: EXIT.machine,
  HOSTS_LOCKED: EXIT.machine,
  HOSTS_CLOSED: EXIT.unexpected,

  TUNNEL_OPTIONS: EXIT.usage,
  TUNNEL_NAMESPACE_UNKNOWN: EXIT.notFound,
  TUNNEL_SERVICE_UNKNOWN: EXIT.notFound,
  TUNNEL_PORT_UNKNOWN: EXIT.notFound,
  TUNNEL_PORT_FAILED: EXIT.machine,
  TUNNEL_NO_ENDPOINT: EXIT.unreachable,
  TUNNEL_UNSUPPORTED: EXIT.unexpected,
  POOL_INVALID: EXIT.usage,
  POOL_EXHAUSTED: EXIT.machine,
  POOL_LOCKED: EXIT.machine,
  LISTEN_IN_USE: EXIT.machine,
  LISTEN_FORBIDDEN: EXIT.machine,
  LISTEN_FAILED: EXIT.machine,
  DIAL_REFUSED: EXIT.unreachable,
  DIAL_GONE: EXIT.unreachable,
  DIAL_FAILED: EXIT.unreachable,

  ENV_OPTION_INVALID: EXIT.usage,
  ENV_CONTAINER_UNKNOWN: EXIT.notFound,
  ENV_REFERENCE_MISSING: EXIT.env,
  ENV_FIELD_UNKNOWN: EXIT.env,
  ENV_FORMAT_UNKNOWN: EXIT.usage,
  ENV_UNREPRESENTABLE: EXIT.env,
  ENV_FILE_UNWRITABLE: EXIT.machine,
  ENV_FILE_UNREADABLE: EXIT.machine,
  ENV_RUNNING_UNREADABLE: EXIT.env,

  RELAY_LINK_LOST: EXIT.unreachable,
  RELAY_REFUSED: EXIT.unreachable,
  RELAY_PROTOCOL: EXIT.unreachable,
  RELAY_REQUEST_FAILED: EXIT.unexpected,
  RELAY_OPTIONS: EXIT.usage,
  RELAY_IMAGE_UNAVAILABLE: EXIT.relay,
  RELAY_QUOTA: EXIT.relay,
  RELAY_POD_REFUSED: EXIT.relay,
  RELAY_NOT_READY: EXIT.relay,
  RELAY_PATTERN: EXIT.usage,
  LEASE_INVALID: EXIT.usage,
  LEASE_TAKEN: EXIT.relay,

  PROXY_OPTION_INVALID: EXIT.usage,
  PROXY_PORT_UNKNOWN: EXIT.notFound,
  PROXY_SERVICE_TAKEN: EXIT.relay,
  PROXY_OBSTACLE: EXIT.relay,
  PROXY_LEASE_TAKEN: EXIT.relay,
  PROXY_RELAY_STRANGE: EXIT.relay,
  PROXY_SERVICE_CHANGED: EXIT.relay,
  PROXY_ENDED: EXIT.relay,
  PROXY_LOCAL_REFUSED: EXIT.machine,

  TESTKIT_OPTIONS_INVALID: EXIT.usage,
  TESTKIT_CLOSED: EXIT.unexpected,
  TESTKIT_PORT_IN_USE: EXIT.machine,
};

export function exitCodeOf(error: unknown): number {
  const code = codeOf(error);
  return (code !== undefined && Object.hasOwn(EXIT_CODE_OF, code) && EXIT_CODE_OF[code]) || EXIT.unexpected;
}

/** `SIGINT` → 130 and so on. */
export const SIGNAL_EXIT = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

export type EndingSignal = keyof typeof SIGNAL_EXIT;
