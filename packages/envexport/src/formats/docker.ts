import type { EnvFormat } from "@shipside/core";
import { checkText, unrepresentable } from "./unrepresentable.ts";

/** Docker reads lines with a buffer of 64 KiB, the line end included. */
const MAX_LINE = 64 * 1024 - 1;

/**
 * For `docker run --env-file`, which takes the rest of a line as it is: no quotes, no escapes. Newer versions take off quotes that
 * enclose the whole value, so such a value is held by neither.
 */
export const docker: EnvFormat = {
  name: "docker",
  aliases: ["docker-env", "podman"],
  render: (entries) =>
    entries
      .map((entry) => {
        const { name, value } = entry;
        const line = `${name}=${value}`;
        if (!/^[!-<>-~]+$/.test(name) || name.startsWith("#"))
          throw unrepresentable("docker", entry, "the name has a space, a # at its beginning, or isn't ASCII");
        checkText("docker", entry);
        if (value.includes("\n")) throw unrepresentable("docker", entry, "its value has several lines");
        if (value.endsWith("\r")) throw unrepresentable("docker", entry, "Docker drops the carriage return at its end");
        if (/^(['"]).*\1$/s.test(value))
          throw unrepresentable("docker", entry, "some versions of Docker take off the quotes around its value");
        if (Buffer.byteLength(line) >= MAX_LINE) throw unrepresentable("docker", entry, "Docker reads no lines of 64 KiB or more");
        return `${line}\n`;
      })
      .join(""),
  async parse(text) {
    const lines = text.split("\n").map((line) => line.replace(/\r$/, "").trimStart());
    const taken = lines.flatMap((line, at) => {
      if (line === "" || line.startsWith("#")) return [];
      const equals = line.indexOf("=");
      // Without a value Docker takes its own.
      if (equals < 1) throw new Error(`line ${at + 1}: there is no name and value`);
      return [[line.slice(0, equals), line.slice(equals + 1)] as const];
    });
    return Object.fromEntries(taken);
  },
};
