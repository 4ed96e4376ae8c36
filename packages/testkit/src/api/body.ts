import type { IncomingMessage } from "node:http";
import { finished } from "node:stream/promises";
import type { Json } from "../json.ts";
import { decodeProtobuf } from "./schema/protobuf.ts";
import { badRequest, StatusError, unsupportedMediaType } from "./status.ts";

const PROTOBUF = "application/vnd.kubernetes.protobuf";
const LIMIT = 3 * 2 ** 20;

/** The request's body as an object: JSON, protobuf, or YAML where its type says so. Undefined where there is none. Throws Status 400, 413, 415. */
export async function readBody(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Read to its end even where it is too much, for the answer to arrive.
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= LIMIT) chunks.push(chunk);
  });
  await finished(request, { writable: false });
  if (size > LIMIT) throw new StatusError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${LIMIT}`, {});
  return parseBody(request, Buffer.concat(chunks));
}

export const mediaType = (request: IncomingMessage): string => (request.headers["content-type"] ?? "").split(";")[0]!.trim();

async function parseBody(request: IncomingMessage, bytes: Buffer): Promise<Json> {
  const type = mediaType(request);
  if (bytes.length === 0) return undefined;
  if (type === PROTOBUF) return decodeProtobuf(bytes);
  if (type.includes("cbor")) {
    throw unsupportedMediaType(
      `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, ${PROTOBUF}`,
    );
  }
  const text = bytes.toString();
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!type.includes("yaml")) throw badRequest(`couldn't get version/kind; json parse error: ${(error as Error).message}`);
  }
  const { parse } = await import("yaml");
  try {
    return parse(text);
  } catch (error) {
    throw badRequest(`error converting YAML to JSON: yaml: ${(error as Error).message.split("\n")[0]}`);
  }
}
