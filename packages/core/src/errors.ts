/**
 * Errors that a user or a program can act on. A `code` is stable across releases and is what to match; the message says what
 * was attempted on what; the `hint` says what to do next.
 */
export interface CodedErrorOptions {
  hint?: string;
  cause?: unknown;
  /** Facts for programs (`--json`), never needed to understand the message. */
  details?: Readonly<Record<string, unknown>>;
}

export class ShipsideError extends Error {
  override readonly name = "ShipsideError";
  readonly code: string;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: string, message: string, options: CodedErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }
}

/** A package's codes, each with one line that says what it means: the docs page and the exit codes are checked against it. */
export type ErrorCatalog = Readonly<Record<string, string>>;

/**
 * Makes a package's error constructor, which takes only that package's codes.
 *
 * ```ts
 * export const HOSTS_ERRORS = { HOSTS_LOCKED: "another process holds the lock" } as const;
 * export const hostsError = codedErrors(HOSTS_ERRORS);
 * throw hostsError("HOSTS_LOCKED", "could not lock /etc/hosts within 5 s", { hint: "…" });
 * ```
 */
export function codedErrors<const C extends ErrorCatalog>(
  _catalog: C,
): (code: keyof C & string, message: string, options?: CodedErrorOptions) => ShipsideError {
  return (code, message, options) => new ShipsideError(code, message, options);
}

/** The `code` of any error that has one (ours, Node's), else undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

/** Whether `error` carries one of `codes`. Codes are matched, never classes: two copies of a package may be installed. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  const code = codeOf(error);
  return code !== undefined && codes.includes(code);
}

export interface ErrorJson {
  code: string;
  message: string;
  hint?: string;
  details?: Readonly<Record<string, unknown>>;
  causes?: ErrorJson[];
}

/** Plain data for `--json`, logs and the control socket. Keeps every cause, as far as ten deep. */
export function errorToJson(error: unknown, depth = 0): ErrorJson {
  const { hint, details } = (error ?? {}) as Partial<ShipsideError>;
  const causes = depth < 10 ? causesOf(error) : [];
  return {
    code: codeOf(error) ?? "UNEXPECTED",
    message: error instanceof Error ? error.message : String(error),
    ...(typeof hint === "string" && { hint }),
    ...(details && { details }),
    ...(causes.length > 0 && { causes: causes.map((cause) => errorToJson(cause, depth + 1)) }),
  };
}

/** An AggregateError is a container, not a cause: what it holds are the causes. */
function causesOf(error: unknown): unknown[] {
  if (error instanceof AggregateError) return error.errors;
  if (!(error instanceof Error) || error.cause === undefined) return [];
  return error.cause instanceof AggregateError ? error.cause.errors : [error.cause];
}

/** The inverse of {@link errorToJson}: what a client throws for an error that the daemon sent. */
export function errorFromJson(json: ErrorJson): ShipsideError {
  const causes = json.causes?.map(errorFromJson);
  return new ShipsideError(json.code, json.message, {
    ...(json.hint !== undefined && { hint: json.hint }),
    ...(json.details !== undefined && { details: json.details }),
    ...(causes?.length && { cause: causes.length === 1 ? causes[0] : new AggregateError(causes, json.message) }),
  });
}

/** Why an `AbortSignal` fired, as an Error that can be thrown. */
export function abortError(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new ShipsideError("ABORTED", String(signal.reason ?? "aborted"));
}
