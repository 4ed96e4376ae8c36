import type { Json } from "../../json.ts";
import { badRequest, StatusError } from "../status.ts";
import type { Field, FieldType, MessageType } from "./notation.ts";
import { messageType } from "./types.ts";

/** Reads `application/vnd.kubernetes.protobuf`: typed clients (kubectl's too) send their bodies so. Answers are JSON. Throws Status 400. */
export function decodeProtobuf(bytes: Buffer): Json {
  if (bytes.length < 4 || bytes.readUInt32BE(0) !== 0x6b387300) {
    throw badRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  }
  try {
    return decodeEnvelope(bytes.subarray(4));
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`the protobuf message has a field of another type than its kind says: ${(error as Error).message}`);
  }
}

function decodeEnvelope(bytes: Buffer): Json {
  const envelope = new Map(wireFields(bytes));
  const meta = new Map(wireFields(envelope.get(1) as Buffer));
  const [apiVersion, kind] = [text(meta.get(1)), text(meta.get(2))];
  const type = messageType(kind);
  if (!type) throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}"`);
  return { apiVersion, kind, ...decodeMessage(type, (envelope.get(2) as Buffer | undefined) ?? Buffer.alloc(0)) };
}

const text = (value: Buffer | bigint | undefined): string => (value instanceof Buffer ? value.toString() : "");

/** Number and value of each field: a varint, or bytes (eight for a fixed64). */
function* wireFields(bytes: Buffer): Generator<[number, Buffer | bigint]> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw badRequest("the protobuf message ends within a number");
  };
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw badRequest("the protobuf message ends within a field");
    return bytes.subarray(at, (at += length));
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    if (wire === 0) yield [tag >>> 3, varint()];
    else if (wire === 2) yield [tag >>> 3, take(Number(varint()))];
    else if (wire === 1) yield [tag >>> 3, take(8)];
    else if (wire === 5) yield [tag >>> 3, take(4)];
    else throw badRequest(`the protobuf message has a field of wire type ${wire}`);
  }
}

function decodeMessage(type: MessageType, bytes: Buffer): Json {
  const out: Record<string, Json> = {};
  for (const [number, wire] of wireFields(bytes)) {
    const field = type.encoded.get(number);
    if (!field) continue;
    const { name, type: of } = field;
    if (of.is === "list") {
      const item = decodeValue(of.of, wire);
      if (item !== undefined) (out[name] ??= []).push(item);
    } else if (of.is === "map") {
      const entry = new Map(wireFields(wire as Buffer));
      (out[name] ??= {})[text(entry.get(1))] = decodeValue(of.of, entry.get(2) ?? Buffer.alloc(0)) ?? "";
    } else {
      const value = decodeValue(of, wire);
      if (name === "~") Object.assign(out, value);
      else if (value !== undefined && (field.pointer || !isZero(field, value))) out[name] = value;
    }
  }
  return out;
}

/** What Go's JSON leaves out of a field that isn't a pointer. */
function isZero({ type }: Field, value: Json): boolean {
  if (type.is === "message") return Object.keys(value).length === 0;
  return value === "" || value === 0 || value === false;
}

function decodeValue(type: FieldType, wire: Buffer | bigint): Json {
  if (type.is === "message") {
    const message = messageType(type.name);
    return message && decodeMessage(message, wire as Buffer);
  }
  if (type.is !== "scalar") return undefined;
  switch (type.code) {
    case "s":
      return text(wire);
    case "i":
      return Number(BigInt.asIntN(64, wire as bigint));
    case "b":
      return wire === 1n;
    case "f":
      return (wire as Buffer).readDoubleLE(0);
    case "y":
      return (wire as Buffer).toString("base64");
    case "q":
      return text(new Map(wireFields(wire as Buffer)).get(1));
    case "x": {
      const parts = new Map(wireFields(wire as Buffer));
      return parts.get(1) === 1n ? text(parts.get(3)) : Number(BigInt.asIntN(32, (parts.get(2) as bigint | undefined) ?? 0n));
    }
    case "t":
    case "u": {
      const parts = new Map(wireFields(wire as Buffer));
      const seconds = parts.get(1) as bigint | undefined;
      if (!seconds) return undefined;
      const iso = new Date(Number(BigInt.asIntN(64, seconds)) * 1000).toISOString().slice(0, 19);
      const micros = String(Number((parts.get(2) as bigint | undefined) ?? 0n) / 1000).padStart(6, "0");
      return type.code === "u" ? `${iso}.${micros.slice(0, 6)}Z` : `${iso}Z`;
    }
    case "j":
    case "r": {
      const raw = text(new Map(wireFields(wire as Buffer)).get(1));
      return raw === "" ? undefined : JSON.parse(raw);
    }
    default:
      return undefined;
  }
}
