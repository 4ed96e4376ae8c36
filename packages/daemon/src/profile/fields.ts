/**
 * What a value of the file may be. One table is read by both the parser and the JSON Schema, so that an editor and `shipside up` accept
 * the same files.
 */
export type Field =
  | TextField
  | { type: "flag"; describe: string }
  | { type: "number"; describe: string; least: number; most: number }
  | { type: "list"; describe: string; of: Field }
  | { type: "map"; describe: string; of: Field }
  | ObjectField
  /** A text alone stands for the object's field `short`. */
  | { type: "text or object"; describe: string; short: string; object: ObjectField };

export interface TextField {
  type: "text";
  describe: string;
  /** Of the whole text. */
  pattern?: string;
  oneOf?: readonly string[];
  /** Relative to the file's folder, or to the home folder after `~/`. */
  path?: true;
  mayBeEmpty?: true;
  /** A whole number stands for its text. */
  orNumber?: true;
  /** What a schema can't say: why the text won't do, else undefined. */
  problem?(text: string): string | undefined;
}

export interface ObjectField {
  type: "object";
  describe: string;
  fields: Readonly<Record<string, Field>>;
  required?: readonly string[];
  /** A field that is of use only with another. */
  needs?: Readonly<Record<string, string>>;
}

export const text = (describe: string, more: Partial<TextField> = {}): TextField => ({ type: "text", describe, ...more });
export const list = (describe: string, of: Field): Field => ({ type: "list", describe, of });
export const flag = (describe: string): Field => ({ type: "flag", describe });
