import assert from "node:assert/strict";
import type { EnvEntry, EnvFormat } from "@shipside/core";
import type { ContractCase } from "./contract.ts";

export interface EnvFormatContractOptions {
  /** Prefix of the cases' names. */
  name?: string;
  format: EnvFormat;
  /** The format's real reader. May give more than what is in the text (a shell's own variables), but not of the names that are asked for. */
  read(text: string, names: readonly string[]): Promise<Record<string, string>>;
  /** Hard values that the format may refuse; it must hold all others. Default none. */
  refuses?: ReadonlyArray<keyof typeof HARD_VALUES>;
  /** The longest value that the reader is given, in bytes. Default 1 MiB; a reader that inherits an environment takes 128 KiB. */
  maxBytes?: number;
}

/** Values that formats and their readers get wrong, by what is hard about them. */
export const HARD_VALUES = {
  plain: "a-plain_value.1",
  empty: "",
  url: "postgres://user:p%40ss@db:5432/x?a=1&b=2",
  "several lines": "a\nb\n\nc",
  "line end at the end": "a\n",
  "only a line end": "\n",
  "carriage returns": "a\r\nb\rc",
  "carriage return at the end": "a\r",
  "single quote": "it's",
  "double quotes": 'say "hi"',
  backtick: "`id`",
  "all quotes": `'"\``,
  "quoted as a whole": '"whole"',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's variable
  variables: "$HOME ${HOME} $(id) $$ %PATH% !x!",
  backslashes: "\\ \\n \\\\ \\",
  hash: "a # b #c",
  "hash at the start": "#x",
  equals: "=a=b=",
  spaces: "  lead and trail  ",
  tabs: "\ta\tb\t",
  operators: "a; b & c | d > e < f * ? [g] {h,i} (j) ~k",
  "another assignment": "x\nINJECTED=1\nexport INJECTED=1",
  unicode: "żółw 😀 \u00a0 \u2028 \u202e",
  "byte-order mark": "\ufeffx",
  "typographic quotes": "\u2018a\u2019 \u201cb\u201d",
  "control characters": "\u0001\u0007\u001b[31m\u007f",
  "looks like a number": "0755",
  "looks like a boolean": "yes",
  "looks like null": "null",
  json: '{"a":["b",1,null]}',
  key: "-----BEGIN KEY-----\nMIIB+/=\n-----END KEY-----\n",
} as const;

const SECRET = "s3cret";

/**
 * What every {@link EnvFormat} must do: its reader gives back each value byte for byte, or the format refuses it by name. There is no
 * third way.
 */
export function envFormatContract(options: EnvFormatContractOptions): ContractCase[] {
  const { format, refuses = [], maxBytes = 1 << 20 } = options;
  const contract = (name: string, run: () => Promise<void>): ContractCase => ({
    name: `${options.name ?? format.name}: ${name}`,
    run,
  });
  const entry = (name: string, value: string, over: Partial<EnvEntry> = {}): EnvEntry => ({
    name,
    value,
    origin: { from: "configMap", name: "conf", key: name },
    ...over,
  });
  /** Undefined where it is refused, as it should be. */
  const rendered = (entries: readonly EnvEntry[], name: string): string | undefined => {
    try {
      return format.render(entries);
    } catch (error) {
      const { code, message, stack, details } = error as Error & { code?: string; details?: { name?: unknown } };
      assert.equal(code, "ENV_UNREPRESENTABLE", `refused with ${code}: ${message}`);
      assert.equal(details?.name, name, "details.name is the variable that is refused");
      assert.ok(message.includes(name) || message.includes(JSON.stringify(name)), "the message names the variable");
      for (const { value } of entries) {
        if (value.length > 3) assert.ok(!`${message} ${stack}`.includes(value), "the error doesn't tell the value");
      }
      return undefined;
    }
  };
  const check = async (text: string, wanted: Readonly<Record<string, string>>): Promise<void> => {
    const names = Object.keys(wanted);
    const asked = [...names, "INJECTED"];
    const readers: Array<[string, Record<string, string>]> = [["the reader", await options.read(text, asked)]];
    if (format.parse) readers.push(["parse", await format.parse(text)]);
    for (const [who, got] of readers) {
      for (const name of names) {
        if (got[name] === wanted[name]) continue;
        assert.fail(
          `${who} gives ${JSON.stringify(got[name])?.slice(0, 200)} for ${name}: ${JSON.stringify(wanted[name]).slice(0, 200)}`,
        );
      }
      assert.ok(!("INJECTED" in got) || "INJECTED" in wanted, `${who} finds a variable that is only the text of another's value`);
    }
  };
  const hard = Object.entries(HARD_VALUES).map(([what, value], at) => ({ what, entry: entry(`HARD_${at}`, value) }));

  return [
    contract("has a name and, where it has them, aliases and extensions as they are typed", async () => {
      for (const word of [format.name, ...(format.aliases ?? [])]) assert.match(word, /^[a-z][a-z0-9.-]*$/);
      for (const word of format.extensions ?? []) assert.match(word, /^[a-z0-9]+$/);
    }),

    contract("nothing is text too, and is read as nothing", async () => {
      const text = format.render([]);
      assert.equal(typeof text, "string");
      await check(text, {});
      if (format.parse) assert.deepEqual(await format.parse(text), {});
    }),

    contract("each hard value is given back, or is one that may be refused", async () => {
      for (const { what, entry: each } of hard) {
        const text = rendered([each], each.name);
        if (text === undefined) assert.ok((refuses as string[]).includes(what), `a value is refused that must be held: ${what}`);
        else await check(text, { [each.name]: each.value });
      }
    }),

    contract("all that it holds stand side by side", async () => {
      const held = hard.filter(({ entry: each }) => rendered([each], each.name) !== undefined).map(({ entry: each }) => each);
      const text = format.render(held);
      await check(text, Object.fromEntries(held.map(({ name, value }) => [name, value])));
    }),

    contract("a value that can't be held fails the whole, and is never left out", async () => {
      const bad = [entry("LAST", `${SECRET}\0value`), entry("LAST", `${SECRET}\ud800value`)];
      bad.push(...hard.filter(({ what }) => (refuses as string[]).includes(what)).map(({ entry: each }) => each));
      for (const each of bad) {
        const text = rendered([entry("FIRST", "1"), each], each.name);
        // Some texts can hold even these; then they must give them back.
        if (text !== undefined && format.parse) assert.equal((await format.parse(text))[each.name], each.value);
        else assert.equal(text, undefined, `${JSON.stringify(each.value)} is written, though no environment holds it`);
      }
    }),

    contract("names are given back, or refused", async () => {
      for (const name of ["A", "_a", "a.b", "a-b", "1a", "a b", "a=b", "A\nINJECTED=1", "A'", "$A", "ż", "#A", "__proto__", ""]) {
        const text = rendered([entry(name, "x")], name);
        if (text !== undefined) await check(text, { [name]: "x" });
      }
    }),

    contract("a secret is written as it is", async () => {
      const text = format.render([entry("OPEN", "1"), entry("CLOSED", SECRET, { sensitive: true })]);
      await check(text, { OPEN: "1", CLOSED: SECRET });
    }),

    contract("a long value is given back or refused, and so are many", async () => {
      const long = entry("LONG", "0123456789abcdef".repeat(maxBytes / 16 - 8));
      const text = rendered([long], "LONG");
      if (text !== undefined) await check(text, { LONG: long.value });
      const many = Array.from({ length: 500 }, (_, at) => entry(`MANY_${at}`, `value ${at}`));
      await check(format.render(many), Object.fromEntries(many.map(({ name, value }) => [name, value])));
    }),

    contract("the same entries make the same text, and stay as they are", async () => {
      const entries = Object.freeze(["B", "A", "C"].map((name) => Object.freeze(entry(name, `${name} 1`))));
      assert.equal(format.render(entries), format.render(entries));
    }),
  ];
}
