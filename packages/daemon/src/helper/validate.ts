import { isIPv4 } from "node:net";
import { type HostsEntry, isHostName, isReservedName } from "@shipside/core";
import { type HelperRequest, LIMITS, type StartWord } from "./requests.ts";

export type Verdict = { request: HelperRequest } | { word: StartWord } | Refusal;

export interface Refusal {
  refused: string;
  code: "HELPER_REFUSED" | "HELPER_LIMIT";
  /** Where the message had one that can be answered. */
  id: number | null;
}

/** The fields of each request besides `id` and `op`. */
const FIELDS: Readonly<Record<HelperRequest["op"], readonly string[]>> = {
  hello: [],
  listen: ["address", "port"],
  bind: ["address", "port"],
  unlisten: ["address", "port"],
  unbind: ["address", "port"],
  "hosts.apply": ["entries"],
  "hosts.restore": [],
  bye: [],
};

/** Thrown and caught in this file only. */
class No {
  readonly why: string;
  readonly code: Refusal["code"];
  constructor(why: string, code: Refusal["code"] = "HELPER_REFUSED") {
    this.why = why;
    this.code = code;
  }
}

/**
 * What a message asks, or why it is refused. What is returned is built anew from the fields that were looked at, so that nothing else of
 * the message is ever used. Pure; never throws, whatever it is given.
 */
export function validate(message: unknown): Verdict {
  let id: number | null = null;
  try {
    const fields = fieldsOf(message, "a message");
    if (fields.has("ready") || fields.has("error")) return { word: startWord(fields) };
    const given = fields.get("id");
    if (typeof given !== "number" || !Number.isSafeInteger(given) || given < 1)
      throw new No("id is no whole number from 1 to 2^53-1");
    id = given;
    return { request: request(fields, given) };
  } catch (error) {
    // Anything else that is thrown comes from the message itself: a getter, a proxy.
    const { why, code } = error instanceof No ? error : new No("it can't be read");
    return { refused: why, code, id };
  }
}

function request(fields: ReadonlyMap<string, unknown>, id: number): HelperRequest {
  const op = fields.get("op");
  if (typeof op !== "string" || !Object.hasOwn(FIELDS, op)) throw new No("op is none of the list");
  const name = op as HelperRequest["op"];
  only(fields, ["id", "op", ...FIELDS[name]]);
  switch (name) {
    case "listen":
    case "bind":
      return { id, op: name, address: poolAddress(fields.get("address")), port: portNumber(fields.get("port"), 0) };
    case "unlisten":
    case "unbind":
      return { id, op: name, address: poolAddress(fields.get("address")), port: portNumber(fields.get("port"), 1) };
    case "hosts.apply":
      return { id, op: name, entries: hostsEntries(fields.get("entries")) };
    default:
      return { id, op: name };
  }
}

function startWord(fields: ReadonlyMap<string, unknown>): StartWord {
  if (fields.has("ready")) {
    only(fields, ["ready"]);
    if (fields.get("ready") !== true) throw new No("ready is not true");
    return { ready: true };
  }
  only(fields, ["error"]);
  // Relayed to the terminal of the user whose process said it: its text is bounded, and the rest of it dropped.
  const error = fieldsOf(fields.get("error"), "error");
  const [code, message, hint] = [error.get("code"), error.get("message"), error.get("hint")];
  if (typeof code !== "string" || !/^[A-Z][A-Z0-9_]{0,63}$/.test(code)) throw new No("error.code is no code");
  if (typeof message !== "string") throw new No("error.message is no text");
  const short = { code, message: message.slice(0, 4_096) };
  return { error: typeof hint === "string" ? { ...short, hint: hint.slice(0, 4_096) } : short };
}

/** An address that Shipside's pool may have: IPv4 loopback, but the one that everything else of the machine uses. */
export function isPoolAddress(address: unknown): address is string {
  return typeof address === "string" && isIPv4(address) && address.startsWith("127.") && address !== "127.0.0.1";
}

function poolAddress(address: unknown): string {
  if (!isPoolAddress(address)) throw new No("address is not in 127.0.0.0/8, or is 127.0.0.1");
  return address;
}

function portNumber(port: unknown, least: number): number {
  if (typeof port !== "number" || !Number.isInteger(port) || port < least || port > 65_535)
    throw new No(`port is no whole number from ${least} to 65535`);
  return port;
}

function hostsEntries(given: unknown): HostsEntry[] {
  const list = listOf(given, "entries", LIMITS.entries);
  const entries: HostsEntry[] = [];
  let count = 0;
  let bytes = 0;
  for (let at = 0; at < list.length; at++) {
    const fields = fieldsOf(list[at], `entries[${at}]`);
    only(fields, ["address", "names"]);
    const address = poolAddress(fields.get("address"));
    const names = listOf(fields.get("names"), `entries[${at}].names`, LIMITS.names - count).map((name, n) => {
      if (!isHostName(name)) throw new No(`entries[${at}].names[${n}] is no host name`);
      if (isReservedName(name)) throw new No(`entries[${at}].names[${n}] is no name for anybody to give`);
      bytes += name.length + 1;
      return name;
    });
    if (names.length === 0) throw new No(`entries[${at}].names is empty`);
    bytes += address.length + 1;
    count += names.length;
    if (bytes > LIMITS.hostsBytes) throw new No(`entries are longer than ${LIMITS.hostsBytes} bytes`, "HELPER_LIMIT");
    entries.push({ address, names });
  }
  return entries;
}

/** Read once, by index: whatever the thing is, what is looked at is what is used. */
function listOf(given: unknown, what: string, most: number): unknown[] {
  if (!Array.isArray(given)) throw new No(`${what} is no list`);
  const { length } = given;
  if (length > most) throw new No(`${what} has more than ${most}`, "HELPER_LIMIT");
  return Array.from({ length }, (_, at) => given[at]);
}

function fieldsOf(given: unknown, what: string): Map<string, unknown> {
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw new No(`${what} is no object`);
  const keys = Object.keys(given);
  if (keys.length > 16) throw new No(`${what} has too many fields`);
  return new Map(keys.map((key) => [key, (given as Record<string, unknown>)[key]]));
}

function only(fields: ReadonlyMap<string, unknown>, allowed: readonly string[]): void {
  for (const key of fields.keys())
    if (!allowed.includes(key)) throw new No(`field ${JSON.stringify(key.slice(0, 40))} is not on the list`);
  for (const key of allowed) if (!fields.has(key)) throw new No(`field ${key} is missing`);
}
