import type { EnvEntry } from "@shipside/core";
import type { ConfigMap, Container, Secret } from "@shipside/kube";
import { describe, expect, it } from "vitest";
import { containerEnv, type EnvInputs } from "./container-env.ts";

const base64 = (text: string | Buffer): string => Buffer.from(text).toString("base64");
const configMaps: Record<string, ConfigMap | "forbidden"> = {
  conf: {
    metadata: { name: "conf" },
    data: { A: "from-conf", B: "$(A)", "index.html": "x", "1st": "y" },
    binaryData: { BIN: "AAAA" },
  },
  closed: "forbidden",
};
const secrets: Record<string, Secret | "forbidden"> = {
  keys: {
    metadata: { name: "keys" },
    data: { PASSWORD: base64("s3cret"), A: base64("from-secret"), RAW: base64(Buffer.from([0xff])), NUL: base64("a\0b") },
  },
  closed: "forbidden",
};
const inputs: EnvInputs = {
  facts: { namespace: "ns", labels: {}, annotations: {}, spec: { containers: [] } },
  services: [
    { name: "LEAF_SERVICE_HOST", value: "10.96.0.9", origin: { from: "service", namespace: "ns", name: "leaf" } },
    { name: "A", value: "from-service", origin: { from: "service", namespace: "ns", name: "leaf" } },
  ],
  configMap: (name) => configMaps[name],
  secret: (name) => secrets[name],
  relaxedNames: true,
};
const made = (container: Partial<Container>, over: Partial<EnvInputs> = {}) =>
  containerEnv({ name: "c", ...container }, { ...inputs, ...over });
const values = (entries: readonly EnvEntry[]): Record<string, string> =>
  Object.fromEntries(entries.map(({ name, value }) => [name, value]));
const reasons = ({ warnings }: ReturnType<typeof made>): string[] => warnings.map(({ reason, name }) => `${reason} ${name}`);

describe("containerEnv", () => {
  it("takes envFrom in order, then env, then the service links that nothing overrides", () => {
    const { entries } = made({
      envFrom: [
        { configMapRef: { name: "conf" } },
        { secretRef: { name: "keys" }, prefix: "K_" },
        { configMapRef: { name: "conf" }, prefix: "K_" },
      ],
      env: [{ name: "B", value: "env $(A)" }],
    });
    expect(values(entries)).toMatchObject({
      A: "from-conf",
      B: "env from-conf",
      K_A: "from-conf",
      K_PASSWORD: "s3cret",
      LEAF_SERVICE_HOST: "10.96.0.9",
    });
    expect(entries.filter(({ name }) => name === "A")).toHaveLength(1);
    expect(entries.at(-1)?.name).toBe("LEAF_SERVICE_HOST");
    expect(values(made({}).entries)["A"]).toBe("from-service");
  });

  it("expands only values in the spec, with what stands before them and the links", () => {
    const { entries } = made({
      envFrom: [{ configMapRef: { name: "conf" } }],
      env: [
        { name: "EARLY", value: "$(LATE)" },
        { name: "LATE", value: "late" },
        { name: "LINK", value: "http://$(LEAF_SERVICE_HOST)" },
        { name: "A", value: "$(A)+" },
        { name: "A", value: "$(A)+" },
        { name: "REF", valueFrom: { configMapKeyRef: { name: "conf", key: "B" } } },
      ],
    });
    expect(values(entries)).toMatchObject({ EARLY: "$(LATE)", LINK: "http://10.96.0.9", A: "from-conf++", B: "$(A)", REF: "$(A)" });
  });

  it("says where each value comes from, and what must not be seen", () => {
    const { entries } = made({
      envFrom: [{ secretRef: { name: "keys" } }],
      env: [
        { name: "KEY", valueFrom: { secretKeyRef: { name: "keys", key: "PASSWORD" } } },
        { name: "URL", value: "db://u:$(PASSWORD)@h" },
        { name: "OVER", value: "$(URL)/x" },
        { name: "PLAIN", value: "x" },
        { name: "NS", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
      ],
    });
    const by = Object.fromEntries(entries.map((entry) => [entry.name, entry]));
    expect(by["KEY"]).toMatchObject({ origin: { from: "secret", name: "keys", key: "PASSWORD" }, sensitive: true });
    expect(by["URL"]).toMatchObject({ origin: { from: "literal", container: "c" }, sensitive: true });
    expect(by["OVER"]?.sensitive).toBe(true);
    expect(by["PLAIN"]).toEqual({ name: "PLAIN", value: "x", origin: { from: "literal", container: "c" } });
    expect(by["NS"]?.origin).toEqual({ from: "field", path: "metadata.namespace" });
  });

  it("keeps any printable name, or with the old rules leaves out what isn't one, and says so", () => {
    const container = { envFrom: [{ configMapRef: { name: "conf" } }, { configMapRef: { name: "conf" }, prefix: "a=" }] };
    const relaxed = made(container);
    expect(values(relaxed.entries)).toMatchObject({ "index.html": "x", "1st": "y" });
    expect(reasons(relaxed)).toEqual(["INVALID_NAME a=1st", "INVALID_NAME a=A", "INVALID_NAME a=B", "INVALID_NAME a=index.html"]);
    const strict = made({ envFrom: [{ configMapRef: { name: "conf" } }] }, { relaxedNames: false });
    expect(values(strict.entries)).toMatchObject({ "index.html": "x" });
    expect(reasons(strict)).toEqual(["INVALID_NAME 1st"]);
  });

  it("leaves out what is not text, with a warning", () => {
    const result = made({
      envFrom: [{ secretRef: { name: "keys" } }],
      env: [{ name: "R", valueFrom: { secretKeyRef: { name: "keys", key: "RAW" } } }],
    });
    expect(Object.keys(values(result.entries))).toEqual(["A", "PASSWORD", "LEAF_SERVICE_HOST"]);
    expect(reasons(result)).toEqual(["NOT_TEXT NUL", "NOT_TEXT RAW", "NOT_TEXT R"]);
  });

  it("names everything that is missing at once, and passes over what is optional", () => {
    const container: Partial<Container> = {
      envFrom: [{ configMapRef: { name: "none", optional: true } }, { secretRef: { name: "gone" } }],
      env: [
        { name: "O1", valueFrom: { configMapKeyRef: { name: "none", key: "x", optional: true } } },
        { name: "O2", valueFrom: { secretKeyRef: { name: "keys", key: "x", optional: true } } },
        { name: "M1", valueFrom: { configMapKeyRef: { name: "conf", key: "BIN" } } },
        { name: "M2", valueFrom: { secretKeyRef: { name: "keys", key: "x" } } },
      ],
    };
    expect(() => made(container)).toThrow(
      expect.objectContaining({
        code: "ENV_REFERENCE_MISSING",
        details: {
          missing: ["Secret gone", "key BIN of ConfigMap conf (it is in binaryData, which no env takes)", "key x of Secret keys"],
        },
      }),
    );
    expect(values(made({ envFrom: container.envFrom?.slice(0, 1) ?? [], env: container.env?.slice(0, 2) ?? [] }).entries)).toEqual(
      values(made({}).entries),
    );
  });

  it("an optional reference that isn't there leaves the earlier value", () => {
    const env = [{ name: "A", valueFrom: { secretKeyRef: { name: "keys", key: "none", optional: true } } }];
    expect(values(made({ envFrom: [{ configMapRef: { name: "conf" } }], env }).entries)["A"]).toBe("from-conf");
  });

  it("leaves out what refers to a value that can't be told, rather than give half of it", () => {
    const result = made({
      env: [
        { name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
        { name: "URL", value: "http://$(POD_IP)" },
        { name: "URL2", value: "$(URL)/x" },
        { name: "A", valueFrom: { secretKeyRef: { name: "closed", key: "x" } } },
        { name: "FILE", valueFrom: { fileKeyRef: { volumeName: "v", path: "p", key: "k" } } },
        { name: "FINE", value: "$(NEVER) $(LEAF_SERVICE_HOST)" },
      ],
    });
    expect(values(result.entries)).toEqual({ FINE: "$(NEVER) 10.96.0.9", LEAF_SERVICE_HOST: "10.96.0.9" });
    expect(reasons(result)).toEqual(["NEEDS_POD POD_IP", "FORBIDDEN URL", "FORBIDDEN URL2", "FORBIDDEN A", "NEEDS_POD FILE"]);
    const open = made({
      envFrom: [{ secretRef: { name: "closed" } }],
      env: [
        { name: "X", value: "$(MAYBE)" },
        { name: "Y", value: "y" },
      ],
    });
    expect(values(open.entries)).toMatchObject({ Y: "y" });
    expect(open.entries.some(({ name }) => name === "X")).toBe(false);
  });
});
