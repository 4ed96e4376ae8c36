/** One cause of a Status, as in `details.causes`. */
export interface StatusCause {
  reason: string;
  message: string;
  field?: string;
}

/** A `Status` object (meta/v1): the body of every answer that isn't a success. */
export interface Status {
  kind: "Status";
  apiVersion: "v1";
  metadata: Record<string, string>;
  status: "Success" | "Failure";
  message?: string;
  reason?: string;
  details?: { name?: string; group?: string; kind?: string; uid?: string; causes?: StatusCause[]; retryAfterSeconds?: number };
  code: number;
}

/** An answer of the API server that isn't a success. `code` is the Status's `reason` ("NotFound", "Conflict", …). */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly code: string;
  readonly status: Status;

  constructor(httpCode: number, reason: string, message: string, details?: Status["details"]) {
    super(message);
    this.code = reason;
    this.status = {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message,
      ...(reason && { reason }),
      ...(details && { details }),
      code: httpCode,
    };
  }
}

/** `plural` and `group` of a store resource ("deployments.apps"). */
function splitResource(resource: string): { plural: string; group: string } {
  const dot = resource.indexOf(".");
  return dot < 0 ? { plural: resource, group: "" } : { plural: resource.slice(0, dot), group: resource.slice(dot + 1) };
}

const detailsOf = (resource: string, name: string): { name: string; group?: string; kind: string } => {
  const { plural, group } = splitResource(resource);
  return { name, ...(group && { group }), kind: plural };
};

export const notFound = (resource: string, name: string): StatusError =>
  new StatusError(404, "NotFound", `${resource} "${name}" not found`, detailsOf(resource, name));

/** The path is served by nobody, or this kind isn't. */
export const noSuchPath = (): StatusError =>
  new StatusError(404, "NotFound", "the server could not find the requested resource", {});

export const alreadyExists = (resource: string, name: string): StatusError =>
  new StatusError(409, "AlreadyExists", `${resource} "${name}" already exists`, detailsOf(resource, name));

export const conflict = (resource: string, name: string, why?: string): StatusError =>
  new StatusError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${resource} "${name}": ${
      why ?? "the object has been modified; please apply your changes to the latest version and try again"
    }`,
    detailsOf(resource, name),
  );

export const badRequest = (message: string): StatusError => new StatusError(400, "BadRequest", message);

export const methodNotAllowed = (): StatusError =>
  new StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});

export const unsupportedMediaType = (message: string): StatusError => new StatusError(415, "UnsupportedMediaType", message);

export const expired = (
  message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
): StatusError => new StatusError(410, "Expired", message);

export const unauthorized = (): StatusError => new StatusError(401, "Unauthorized", "Unauthorized");

const internalError = (error: unknown): StatusError => {
  const message = error instanceof Error ? error.message : String(error);
  return new StatusError(500, "InternalError", `Internal error occurred: ${message}`, {
    causes: [{ reason: "", message }],
  });
};

/** `Kind.group "name" is invalid: …`, one cause a problem, worded as the API machinery words them. */
export function invalid(kind: string, group: string, name: string, causes: readonly StatusCause[]): StatusError {
  const each = causes.map((cause) => (cause.field ? `${cause.field}: ${cause.message}` : cause.message));
  const text = each.length === 1 ? each[0] : `[${each.join(", ")}]`;
  return new StatusError(422, "Invalid", `${group ? `${kind}.${group}` : kind} "${name}" is invalid: ${text}`, {
    ...(name && { name }),
    ...(group && { group }),
    kind,
    causes: [...causes],
  });
}

/** Any error as what the client is sent. */
export function toStatus(error: unknown): Status {
  const status = (error as { status?: unknown } | null)?.status;
  if (typeof status === "object" && status !== null && (status as Status).kind === "Status") return status as Status;
  return internalError(error).status;
}
