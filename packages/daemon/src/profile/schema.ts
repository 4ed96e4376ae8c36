import type { Field, ObjectField } from "./fields.ts";
import { profileShape } from "./shape.ts";

/** Where editors find the schema. */
export const PROFILE_SCHEMA_URL = "https://unpkg.com/@shipside/daemon/shipside.schema.json";

/** The JSON Schema (draft 2020-12) of `shipside.yaml`; published as `shipside.schema.json`. */
export function profileSchema(): Record<string, unknown> {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: PROFILE_SCHEMA_URL,
    title: "shipside.yaml",
    ...schemaOf(profileShape()),
    patternProperties: { "^x-": { description: "Yours: for anchors." } },
  };
}

/** A text with `${NAME}` in it becomes another before it is judged. */
const VARIABLE = "\\$\\{";

function schemaOf(field: Field): Record<string, unknown> {
  const { describe: description } = field;
  switch (field.type) {
    case "text": {
      const limit = field.oneOf
        ? { anyOf: [{ enum: field.oneOf }, { pattern: VARIABLE }] }
        : {
            ...(field.pattern !== undefined && { pattern: `^(?:${field.pattern})$|${VARIABLE}` }),
            ...(!field.mayBeEmpty && { minLength: 1 }),
          };
      return { type: field.orNumber ? ["string", "integer"] : "string", description, ...limit };
    }
    case "flag":
      return { type: "boolean", description };
    case "number":
      return { type: "integer", description, minimum: field.least, maximum: field.most };
    case "list":
      return { type: "array", description, items: schemaOf(field.of) };
    case "map":
      return { type: "object", description, additionalProperties: schemaOf(field.of) };
    case "text or object":
      return { description, anyOf: [schemaOf(field.object.fields[field.short]!), schemaOf(field.object)] };
    case "object":
      return objectSchema(field, description);
  }
}

function objectSchema({ fields, required, needs }: ObjectField, description: string): Record<string, unknown> {
  return {
    type: "object",
    description,
    properties: Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, schemaOf(field)])),
    ...(required && { required }),
    ...(needs && { dependentRequired: Object.fromEntries(Object.entries(needs).map(([name, needed]) => [name, [needed]])) }),
    additionalProperties: false,
  };
}
