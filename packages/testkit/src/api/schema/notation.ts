/**
 * The types of the API in a line each: `Type field:number type …`, continued on indented lines. The number is the field's in the
 * protobuf encoding. A type is `s` string, `i` integer, `b` boolean, `f` float, `y` bytes, `q` quantity, `x` integer or string,
 * `t` time, `u` time with microseconds, `j` field set, `r` any JSON, `a` anything (not looked into), `[T]` list, `{T}` map, or another
 * type's name. Behind it: `*` present even where it is the zero value, `@a,b` a list keyed by these fields, `=` a list that is a set,
 * `!` (also behind a type's name, or behind a list's keys) replaced as a whole by server-side apply. The field `~` is embedded: its fields are its parent's.
 */
export interface Field {
  readonly name: string;
  readonly number: number;
  readonly type: FieldType;
  readonly pointer: boolean;
  readonly keys: readonly string[];
  readonly set: boolean;
  readonly atomic: boolean;
}

export type FieldType =
  | { readonly is: "scalar"; readonly code: string }
  | { readonly is: "list"; readonly of: FieldType }
  | { readonly is: "map"; readonly of: FieldType }
  | { readonly is: "message"; readonly name: string };

export interface MessageType {
  readonly name: string;
  readonly atomic: boolean;
  /** By the name in JSON, embedded ones included. */
  readonly fields: ReadonlyMap<string, Field>;
  /** As encoded: embedded ones are fields of their own, named `~`. */
  readonly encoded: ReadonlyMap<number, Field>;
}

const FIELD = /^([~\w$-]+):(\d+)([[{]?\w+[\]}]?)(\*?)(?:(@)([\w,]+)|(=))?(!)?$/;

export function parseTypes(text: string): Map<string, MessageType> {
  const raw = new Map<string, { atomic: boolean; fields: Field[] }>();
  let current: { atomic: boolean; fields: Field[] } | undefined;
  for (const line of text.split("\n")) {
    const words = line.split(" ").filter(Boolean);
    if (words.length === 0) continue;
    if (!line.startsWith(" ")) {
      const head = words.shift()!;
      current = { atomic: head.endsWith("!"), fields: [] };
      raw.set(head.replace("!", ""), current);
    }
    current!.fields.push(...words.map(parseField));
  }
  const types = new Map<string, MessageType>();
  const flat = (name: string): Field[] =>
    raw.get(name)!.fields.flatMap((field) => (field.name === "~" && field.type.is === "message" ? flat(field.type.name) : [field]));
  for (const [name, { atomic, fields }] of raw) {
    types.set(name, {
      name,
      atomic,
      fields: new Map(flat(name).map((field) => [field.name, field])),
      encoded: new Map(fields.map((field) => [field.number, field])),
    });
  }
  return types;
}

function parseField(text: string): Field {
  const match = FIELD.exec(text);
  if (!match) throw new SyntaxError(`the schema has a field that can't be read: ${text}`);
  const [, name, number, type, pointer, , keys, set, atomic] = match;
  return {
    name: name!,
    number: Number(number),
    type: parseType(type!),
    pointer: pointer === "*",
    keys: keys?.split(",") ?? [],
    set: set !== undefined,
    atomic: atomic !== undefined,
  };
}

function parseType(text: string): FieldType {
  if (text.startsWith("[")) return { is: "list", of: parseType(text.slice(1, -1)) };
  if (text.startsWith("{")) return { is: "map", of: parseType(text.slice(1, -1)) };
  return text.length === 1 ? { is: "scalar", code: text } : { is: "message", name: text };
}
