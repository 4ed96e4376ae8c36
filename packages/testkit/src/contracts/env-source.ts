import assert from "node:assert/strict";
import { type EnvEntry, type EnvOrigin, type EnvRequest, type EnvSource, type Logger, silentLogger } from "@shipside/core";
import type { ContractCase } from "./contract.ts";
import { inTime } from "./settle.ts";

/** A source and something that it can be asked about. */
export interface EnvSourceSubject extends AsyncDisposable {
  source: EnvSource;
  /** Of which it has variables. */
  request: Omit<EnvRequest, "signal">;
  /** What it must give, at the least. */
  expected: Readonly<Record<string, string>>;
  /** Values that are nobody's business: what has one must be marked, and none may be logged or told. At least 6 characters each. */
  secrets?: readonly string[];
  /** A request that must fail, or after which asking fails: what it needs is away. */
  broken?(): Promise<Omit<EnvRequest, "signal">>;
}

export interface EnvSourceContractOptions {
  /** Prefix of the cases' names. */
  name?: string;
  open(): Promise<EnvSourceSubject>;
}

const ORIGINS: ReadonlySet<EnvOrigin["from"]> = new Set<EnvOrigin["from"]>([
  "literal",
  "configMap",
  "secret",
  "field",
  "resource",
  "file",
  "service",
  "image",
  "plugin",
  "local",
]);

/** What every {@link EnvSource} must do. */
export function envSourceContract(options: EnvSourceContractOptions): ContractCase[] {
  const contract = (name: string, run: (subject: EnvSourceSubject) => Promise<void>): ContractCase => ({
    name: `${options.name ?? "env source"}: ${name}`,
    async run() {
      await using subject = await options.open();
      await run(subject);
    },
  });
  const ask = (
    { source }: EnvSourceSubject,
    request: Omit<EnvRequest, "signal">,
    { signal = new AbortController().signal, logger = silentLogger }: { signal?: AbortSignal; logger?: Logger } = {},
  ): Promise<EnvEntry[]> => inTime(source.collect({ ...request, signal }, { logger }), "collect", 15_000);
  const values = (entries: readonly EnvEntry[]) => Object.fromEntries(entries.map(({ name, value }) => [name, value]));

  return [
    contract("has a name, and gives what it has", async (subject) => {
      assert.match(subject.source.name, /\S/);
      const found = values(await ask(subject, subject.request));
      for (const [name, value] of Object.entries(subject.expected)) assert.equal(found[name], value, `the value of ${name}`);
    }),

    contract("each entry is a variable that a process can have, with its origin", async (subject) => {
      for (const { name, value, origin } of await ask(subject, subject.request)) {
        assert.match(name, /^[^=\0]+$/, `${JSON.stringify(name)} is a variable's name`);
        assert.equal(typeof value, "string", `the value of ${name} is text`);
        assert.ok(!value.includes("\0"), `the value of ${name} has no NUL`);
        assert.ok(ORIGINS.has(origin?.from), `the origin of ${name} is one of ${[...ORIGINS].join(", ")}`);
      }
    }),

    contract("gives the same again, to several at once, and nobody's changes to what was given", async (subject) => {
      const request = Object.freeze({ ...subject.request });
      const first = await ask(subject, request);
      const before = structuredClone(first);
      for (const entry of first) entry.value = "changed";
      first.length = 0;
      const more = await Promise.all([ask(subject, request), ask(subject, request), ask(subject, request)]);
      for (const entries of more) assert.deepEqual(entries, before);
    }),

    contract("what has a secret's value is marked sensitive", async (subject) => {
      const { secrets = [] } = subject;
      const entries = await ask(subject, subject.request);
      for (const { name, value, sensitive } of entries) {
        if (secrets.some((secret) => value.includes(secret))) assert.equal(sensitive, true, `${name} is marked sensitive`);
      }
      for (const secret of secrets) {
        assert.ok(secret.length >= 6, "a planted secret is long enough to be found");
        assert.ok(
          entries.some(({ value }) => value.includes(secret)),
          "each planted secret is there",
        );
      }
    }),

    contract("logs no secret", async (subject) => {
      const lines: string[] = [];
      const log = (message: string, fields?: object): void => {
        lines.push(`${message} ${JSON.stringify(fields, (_, value) => (value instanceof Error ? `${value.stack}` : value))}`);
      };
      const logger: Logger = { debug: log, info: log, warn: log, error: log };
      await ask(subject, subject.request, { logger });
      if (subject.broken) await ask(subject, await subject.broken(), { logger }).catch(() => {});
      for (const secret of subject.secrets ?? []) assert.ok(!lines.join("\n").includes(secret), "a secret was logged");
    }),

    contract("an aborted request rejects, and soon", async (subject) => {
      const late = new AbortController();
      const reason = new Error("enough");
      await assert.rejects(ask(subject, subject.request, { signal: AbortSignal.abort(reason) }), "aborted before");
      const began = performance.now();
      const asked = ask(subject, subject.request, { signal: late.signal });
      late.abort(reason);
      // It may have had its answer already.
      await asked.catch(() => {});
      assert.ok(performance.now() - began < 5_000, "it let go within 5 s");
    }),

    contract("what it can't tell is a coded error without a secret in it", async (subject) => {
      if (!subject.broken) return;
      const failed: unknown = await ask(subject, await subject.broken()).then(
        () => undefined,
        (error: unknown) => error,
      );
      assert.ok(failed instanceof Error, "it rejects with an Error rather than give half of it");
      assert.match(String((failed as { code?: unknown }).code), /^[A-Z][A-Z0-9_]+$/, "the error has a code");
      for (let error: unknown = failed; error instanceof Error; error = error.cause) {
        for (const secret of subject.secrets ?? []) assert.ok(!`${error.message}`.includes(secret), "the error tells a secret");
      }
    }),
  ];
}
