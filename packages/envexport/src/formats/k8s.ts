import type { EnvEntry, EnvFormat } from "@shipside/core";
import { parseObject } from "./parse-object.ts";
import { checkText, unrepresentable } from "./unrepresentable.ts";
import { yamlDocuments, yamlKey, yamlString } from "./yaml.ts";

/** The API server's bound for a ConfigMap's or Secret's data. */
const MAX_BYTES = 1024 * 1024;

/**
 * A ConfigMap with what is open and a Secret with what is not, both named `env`, for a container's `envFrom`.
 * `kubectl apply -n … -f FILE`.
 */
export const k8s: EnvFormat = {
  name: "k8s",
  aliases: ["kubernetes", "manifest"],
  render(entries) {
    const part = (kind: string, field: string, of: readonly EnvEntry[]): string => {
      let size = 0;
      const lines = of.map((entry) => {
        const { name, value } = entry;
        if (!/^[-._a-zA-Z0-9]{1,253}$/.test(name) || name === "." || name.startsWith("..")) {
          throw unrepresentable("k8s", entry, "a key is letters, digits, -, _ and ., at most 253");
        }
        checkText("k8s", entry);
        size += Buffer.byteLength(name) + Buffer.byteLength(value);
        if (size > MAX_BYTES) throw unrepresentable("k8s", entry, `with it the ${kind} has more than 1 MiB`);
        return `  ${yamlKey(name)}: ${yamlString(value)}\n`;
      });
      return lines.length === 0 ? "" : `apiVersion: v1\nkind: ${kind}\nmetadata:\n  name: env\n${field}:\n${lines.join("")}`;
    };
    const open = part(
      "ConfigMap",
      "data",
      entries.filter(({ sensitive }) => !sensitive),
    );
    const secret = part(
      "Secret",
      "stringData",
      entries.filter(({ sensitive }) => sensitive),
    );
    return [open, secret].filter((text) => text !== "").join("---\n");
  },
  async parse(text) {
    const parts = (await yamlDocuments(text)).map((document) => {
      const { kind, data = {}, stringData = {} } = (document ?? {}) as { kind?: string; data?: object; stringData?: object };
      if (kind === "ConfigMap") return parseObject(data);
      if (kind !== "Secret") throw new Error("it has something else than ConfigMaps and Secrets");
      const decoded = Object.entries(parseObject(data)).map(([name, value]) => [name, Buffer.from(value, "base64").toString()]);
      return { ...Object.fromEntries(decoded), ...parseObject(stringData) };
    });
    return Object.fromEntries(parts.flatMap((part) => Object.entries(part)));
  },
};
