import { homedir } from "node:os";
import { dirname, resolve } from "node:path";
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import type { Field, ObjectField, TextField } from "./fields.ts";
import { nearest } from "./nearest.ts";
import { substitute } from "./substitute.ts";

/** A mistake in the file. Lines and columns count from 1. */
export interface ProfileIssue {
  line: number;
  column: number;
  /** Such as `teleports[0].namespace`; empty for the file as such. */
  path: string;
  message: string;
}

export interface ReadProfile {
  /** Of the shape, where there are no issues. */
  value: Record<string, unknown>;
  /** In the order of the file. */
  issues: ProfileIssue[];
  /** Where the value of a path stands. */
  at(path: string): { line: number; column: number };
}

/** Keys that are nobody's business but the file's author's: for anchors. */
const EXTENSION = /^x-/;

/** Reads YAML (or JSON, which is YAML) as `shape` says. Never throws for what the text holds. `file` is absolute. */
export function readProfile(text: string, shape: ObjectField, file: string, env: NodeJS.ProcessEnv): ReadProfile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const issues: ProfileIssue[] = [];
  const places = new Map<string, { line: number; column: number }>();
  const placeOf = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const report = (path: string, offset: number, message: string): undefined => {
    issues.push({ ...placeOf(offset), path, message });
  };
  const offsetOf = (node: unknown): number => (node as Node | null)?.range?.[0] ?? 0;

  // What follows the first mistake in the syntax is mostly its echo.
  const [broken] = document.errors;
  if (broken) report("", broken.pos[0], broken.message);
  if (broken) return { value: {}, issues, at: () => ({ line: 1, column: 1 }) };

  const textOf = (field: TextField, given: string, path: string, offset: number): string | undefined => {
    const done = substitute(given, env);
    if ("missing" in done)
      return report(path, offset, `$\{${done.missing}} is not set; $\{${done.missing}:-otherwise} gives a value for that case`);
    const value = done.text;
    const what = path === "" ? "the file" : path;
    if (value === "" && !field.mayBeEmpty) return report(path, offset, `${what} is empty`);
    if (field.oneOf && !field.oneOf.includes(value)) {
      const meant = nearest(value, field.oneOf);
      const there = field.oneOf.map((each) => JSON.stringify(each)).join(", ");
      return report(
        path,
        offset,
        `${what} is ${JSON.stringify(value)}; ${meant ? `did you mean "${meant}"?` : `there is ${there}`}`,
      );
    }
    if (field.pattern !== undefined && !new RegExp(`^(?:${field.pattern})$`).test(value))
      return report(path, offset, `${what} can't be ${JSON.stringify(value)} (it must fit ${field.pattern})`);
    const problem = field.problem?.(value);
    if (problem !== undefined) return report(path, offset, `${what}: ${problem}`);
    if (!field.path) return value;
    return value.startsWith("~/") ? resolve(homedir(), value.slice(2)) : resolve(dirname(file), value);
  };

  const objectOf = (field: ObjectField, node: unknown, path: string, offset: number): Record<string, unknown> | undefined => {
    if (!isMap(node)) return wrong(path, offset, "keys and values", node);
    const value: Record<string, unknown> = {};
    const known = Object.keys(field.fields);
    const there = new Set<string>();
    for (const { key, value: each } of node.items) {
      const name = isScalar(key) ? String(key.value) : "?";
      const sub = path === "" ? name : `${path}.${name}`;
      if (path === "" && EXTENSION.test(name)) continue;
      const known_ = Object.hasOwn(field.fields, name) ? field.fields[name] : undefined;
      if (!known_) {
        const meant = nearest(name, known);
        // One mistake, not another for each key that needs it.
        if (meant !== undefined) there.add(meant);
        report(
          sub,
          offsetOf(key),
          `unknown key ${JSON.stringify(name)}${path === "" ? "" : ` in ${path}`}; ${meant ? `did you mean "${meant}"?` : `there is ${known.join(", ")}`}`,
        );
        continue;
      }
      there.add(name);
      const found = checked(known_, each, sub, each === null ? offsetOf(key) : offsetOf(each));
      if (found !== undefined) value[name] = found;
    }
    for (const name of field.required ?? [])
      if (!there.has(name)) report(path, offset, `${path === "" ? "the file" : path} lacks ${JSON.stringify(name)}`);
    for (const [name, needed] of Object.entries(field.needs ?? {}))
      if (there.has(name) && !there.has(needed))
        report(path, offset, `${path} has ${JSON.stringify(name)}, which needs ${JSON.stringify(needed)}`);
    return value;
  };

  const wrong = (path: string, offset: number, wanted: string, node: unknown): undefined =>
    report(path, offset, `${path === "" ? "the file" : path} must be ${wanted}, and is ${kindOf(node)}${quoting(wanted, node)}`);

  const checked = (field: Field, given: unknown, path: string, offset: number): unknown => {
    const node = isAlias(given) ? given.resolve(document) : given;
    places.set(path, placeOf(offset));
    const scalar = isScalar(node) ? node.value : undefined;
    switch (field.type) {
      case "text":
        if (field.orNumber && Number.isInteger(scalar)) return String(scalar);
        return typeof scalar === "string" ? textOf(field, scalar, path, offset) : wrong(path, offset, "a text", node);
      case "flag":
        return typeof scalar === "boolean" ? scalar : wrong(path, offset, "true or false", node);
      case "number": {
        const fits = Number.isInteger(scalar) && (scalar as number) >= field.least && (scalar as number) <= field.most;
        return fits ? scalar : wrong(path, offset, `a whole number from ${field.least} to ${field.most}`, node);
      }
      case "list":
        if (!isSeq(node)) return wrong(path, offset, "a list", node);
        return node.items.map((item, i) => checked(field.of, item, `${path}[${i}]`, offsetOf(item)));
      case "map": {
        if (!isMap(node)) return wrong(path, offset, "keys and values", node);
        return Object.fromEntries(
          node.items.map(({ key, value }) => {
            const name = isScalar(key) ? String(key.value) : "?";
            return [name, checked(field.of, value, `${path}.${name}`, value === null ? offsetOf(key) : offsetOf(value))];
          }),
        );
      }
      case "text or object": {
        if (!isMap(node) && typeof scalar !== "string") return wrong(path, offset, "a text, or keys and values", node);
        if (isMap(node)) return objectOf(field.object, node, path, offset);
        const short = textOf(field.object.fields[field.short] as TextField, scalar as string, path, offset);
        return short === undefined ? undefined : { [field.short]: short };
      }
      case "object":
        return objectOf(field, node, path, offset);
    }
  };

  const value = checked(shape, document.contents, "", 0) as Record<string, unknown> | undefined;
  issues.sort((a, b) => a.line - b.line || a.column - b.column);
  return { value: value ?? {}, issues, at: (path) => places.get(path) ?? { line: 1, column: 1 } };
}

/** `1.20` and `yes` in YAML are what they look like only in quotes. */
function quoting(wanted: string, node: unknown): string {
  if (wanted !== "a text" || !isScalar(node) || node.value === null) return "";
  return `; in quotes it is one: "${node.source ?? node.value}"`;
}

function kindOf(node: unknown): string {
  if (isMap(node)) return "keys and values";
  if (isSeq(node)) return "a list";
  const value = isScalar(node) ? node.value : null;
  if (value === null || value === undefined) return "empty";
  return typeof value === "string" ? `the text ${JSON.stringify(value)}` : `${value}`;
}
