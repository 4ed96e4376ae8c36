import type { StatusCause } from "./status.ts";

/** Collects what is wrong with an object, in the words of apimachinery's field errors. */
export interface FieldErrors {
  readonly causes: StatusCause[];
  required(field: string, detail?: string): void;
  invalid(field: string, value: unknown, detail: string): void;
  unsupported(field: string, value: unknown, supported: readonly string[]): void;
  duplicate(field: string, value: unknown): void;
  forbidden(field: string, detail: string): void;
  notFound(field: string, value: unknown): void;
  tooLong(field: string, maximum: number): void;
}

export function fieldErrors(): FieldErrors {
  const causes: StatusCause[] = [];
  const add = (reason: string, field: string, message: string): void => void causes.push({ reason, message, field });
  const show = (value: unknown): string => JSON.stringify(value ?? null);
  return {
    causes,
    required: (field, detail) => add("FieldValueRequired", field, detail ? `Required value: ${detail}` : "Required value"),
    invalid: (field, value, detail) => add("FieldValueInvalid", field, `Invalid value: ${show(value)}: ${detail}`),
    unsupported: (field, value, supported) =>
      add(
        "FieldValueNotSupported",
        field,
        `Unsupported value: ${show(value)}: supported values: ${supported.map(show).join(", ")}`,
      ),
    duplicate: (field, value) => add("FieldValueDuplicate", field, `Duplicate value: ${show(value)}`),
    forbidden: (field, detail) => add("FieldValueForbidden", field, `Forbidden: ${detail}`),
    notFound: (field, value) => add("FieldValueNotFound", field, `Not found: ${show(value)}`),
    tooLong: (field, maximum) => add("FieldValueTooLong", field, `Too long: may not be more than ${maximum} bytes`),
  };
}

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export type NameRule = (name: string) => string | undefined;

/** RFC 1123 label, 63 characters. */
export const dnsLabel: NameRule = (name) => {
  if (name.length > 63) return "must be no more than 63 characters";
  if (LABEL.test(name)) return undefined;
  return (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric " +
    "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
  );
};

/** RFC 1035 label, 63 characters. */
export const dns1035Label: NameRule = (name) => {
  if (name.length > 63) return "must be no more than 63 characters";
  if (LABEL_1035.test(name)) return undefined;
  return (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an " +
    "alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
  );
};

/** RFC 1123 subdomain, 253 characters. */
export const dnsSubdomain: NameRule = (name) => {
  if (name.length > 253) return "must be no more than 253 characters";
  if (SUBDOMAIN.test(name)) return undefined;
  return (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " +
    "alphanumeric character (e.g. 'example.com', regex used for validation is " +
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
  );
};

/** RBAC's: whatever can be a part of a path. */
export const pathSegment: NameRule = (name) => {
  if (name === "." || name === "..") return `may not be '${name}'`;
  for (const illegal of ["/", "%"]) if (name.includes(illegal)) return `may not contain '${illegal}'`;
  return undefined;
};

const QUALIFIED_NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

/** What is wrong with a label or annotation key, if anything. */
export function qualifiedName(key: string): string | undefined {
  const slash = key.indexOf("/");
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const name = key.slice(slash + 1);
  if (prefix === "") return "prefix part must be non-empty";
  if (prefix !== undefined) {
    const wrong = dnsSubdomain(prefix);
    if (wrong) return `prefix part ${wrong}`;
  }
  if (name === "") return "name part must be non-empty";
  if (name.length > 63) return "name part must be no more than 63 characters";
  if (QUALIFIED_NAME.test(name) && !name.includes("/")) return undefined;
  return (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " +
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
  );
}

function labelValue(value: string): string | undefined {
  if (value.length > 63) return "must be no more than 63 characters";
  if (LABEL_VALUE.test(value)) return undefined;
  return (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " +
    "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
  );
}

export function validateLabels(errors: FieldErrors, field: string, labels: unknown): void {
  for (const [key, value] of Object.entries((labels ?? {}) as Record<string, unknown>)) {
    const wrongKey = qualifiedName(key);
    if (wrongKey) errors.invalid(field, key, wrongKey);
    const wrongValue = labelValue(String(value));
    if (wrongValue) errors.invalid(field, value, wrongValue);
  }
}

export function validateAnnotations(errors: FieldErrors, field: string, annotations: unknown): void {
  let size = 0;
  for (const [key, value] of Object.entries((annotations ?? {}) as Record<string, unknown>)) {
    const wrong = qualifiedName(key.toLowerCase());
    if (wrong) errors.invalid(field, key, wrong);
    size += Buffer.byteLength(key) + Buffer.byteLength(String(value));
  }
  if (size > 262_144) errors.tooLong(field, 262_144);
}
