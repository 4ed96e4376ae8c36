import { codedErrors } from "@shipside/core";

/** The codes of this package, each with what it means. */
export const DAEMON_ERRORS = {
  DAEMON_UNREACHABLE: "no daemon answers on the control socket",
  DAEMON_RUNNING: "another process already serves this user's control socket",
  DAEMON_VERSION: "the daemon speaks another version of the control protocol",
  DAEMON_PROTOCOL: "what came over the control socket isn't a message of the protocol",
  DAEMON_GONE: "the daemon ended before it answered",
  DAEMON_START_FAILED: "the background process did not come up",
  HELPER_FAILED: "the privileged helper could not start, or could not go on",
  LAUNCH_FAILED: "the daemon could not be started as the user by the helper",
  ROOT_UNAVAILABLE: "root is needed, and there is no way on this machine to ask for it",
  ROOT_REFUSED: "sudo or doas did not give root",
  ROOT_USER_UNKNOWN: "whose daemon root is to start can't be told",
  INSTALL_UNSUPPORTED: "this machine has nothing that we know how to start things at boot with",
  INSTALL_UNSAFE: "what would run as root at boot could be changed by somebody else",
  INSTALL_FAILED: "starting at boot could not be set up or taken away",
  RUNTIME_DIR_UNSAFE: "the folder for the control socket belongs to somebody else or is open to others",
  JOURNAL_FAILED: "the journal could not be written, so nothing was begun",
  SESSION_OPTIONS: "the options of a session contradict each other or are malformed",
  SESSION_UNKNOWN: "no open session has this id",
  SESSION_NAME_TAKEN: "another open session has the name that a new one was to have",
  SESSION_CLOSED: "the session was closed while it was being opened",
  NAME_TAKEN: "another line of the hosts file gives a name of the cluster another address",
  NAMESPACE_GONE: "the namespace vanished while a session used it",
  ENV_INCOMPLETE: "some of a workload's variables can't be had; the others are there",
  ENV_FILE_KEPT: "an env file that was kept current had been edited; the edit is kept aside",
  HOOK_FAILED: "a plugin's lifecycle hook threw",
  COMMAND_NOT_FOUND: "the command to run does not exist",
  COMMAND_FAILED: "the command could not be started",
  UNDO_FAILED: "something could not be undone and is still there",
} as const;

export const daemonError = codedErrors(DAEMON_ERRORS);
