import { codedErrors } from "@shipside/core";

export const ENV_ERRORS = {
  ENV_OPTION_INVALID: "an option is not of the form it takes",
  ENV_CONTAINER_UNKNOWN: "the workload has no container of this name",
  ENV_REFERENCE_MISSING: "a ConfigMap, Secret or key that the workload needs does not exist",
  ENV_FIELD_UNKNOWN: "the workload asks for a field or resource that Kubernetes does not offer to an env",
  ENV_RUNNING_UNREADABLE: "the running container can't be asked for its environment",
  ENV_FORMAT_UNKNOWN: "there is no env format of this name",
  ENV_UNREPRESENTABLE: "the format can't hold this name or value",
  ENV_FILE_UNREADABLE: "the env file isn't there, or is not of a form that can be read without running it",
  ENV_FILE_UNWRITABLE: "the env file can't be written",
} as const;

export const envError = codedErrors(ENV_ERRORS);
