import type { Json } from "../../json.ts";
import { sameJson } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import type { FieldErrors } from "../validation.ts";
import { fill, type Strategy } from "./strategy.ts";

const KEY = /^[-._a-zA-Z0-9]+$/;
const MEBIBYTE = 1_048_576;

function validateKeys(object: Json, fields: readonly string[], errors: FieldErrors): void {
  let size = 0;
  const seen = new Set<string>();
  for (const field of fields) {
    for (const [key, value] of Object.entries((object[field] ?? {}) as Record<string, string>)) {
      if (!KEY.test(key)) {
        errors.invalid(
          `${field}[${key}]`,
          key,
          "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', " +
            "regex used for validation is '[-._a-zA-Z0-9]+')",
        );
      }
      if (seen.has(key)) errors.invalid(`${field}[${key}]`, key, "duplicate of key present in data");
      seen.add(key);
      size +=
        field === "data" && fields.length === 2 ? Buffer.byteLength(String(value)) : Math.floor((String(value).length * 3) / 4);
    }
  }
  if (size > MEBIBYTE) errors.tooLong(fields.length === 2 ? "" : "data", MEBIBYTE);
}

function validateImmutable(object: Json, old: KubeJson | undefined, fields: readonly string[], errors: FieldErrors): void {
  if (!old?.["immutable"]) return;
  if (!object.immutable) errors.forbidden("immutable", "field is immutable when `immutable` is set");
  for (const field of fields) {
    if (!sameJson(object[field] ?? {}, old[field] ?? {})) errors.forbidden(field, "field is immutable when `immutable` is set");
  }
}

export const configMap: Strategy = {
  validate(object, errors, old) {
    validateKeys(object, ["data", "binaryData"], errors);
    validateImmutable(object, old, ["data", "binaryData"], errors);
  },
};

const REQUIRED_KEYS: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};

export const secret: Strategy = {
  defaults(object) {
    fill(object, { type: "Opaque" });
    if (object.stringData) {
      object.data = { ...object.data };
      for (const [key, value] of Object.entries(object.stringData as Record<string, string>)) {
        object.data[key] = Buffer.from(String(value)).toString("base64");
      }
      delete object.stringData;
    }
  },
  validate(object, errors, old) {
    validateKeys(object, ["data"], errors);
    for (const key of REQUIRED_KEYS[object.type] ?? []) if (object.data?.[key] === undefined) errors.required(`data[${key}]`);
    if (old && object.type !== old["type"]) errors.invalid("type", object.type, "field is immutable");
    validateImmutable(object, old, ["data"], errors);
  },
};
