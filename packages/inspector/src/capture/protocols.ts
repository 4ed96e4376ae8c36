/** A protocol that is known by its first bytes, and what they say of the connection. */
export interface Recognised {
  /** As it is shown where HTTP has its method. */
  name: string;
  /** Who, where: shown where HTTP has its path. */
  about: string;
}

/** By what the client and the server have said first; undefined where that is none of these, as for HTTP. */
export function recognise(client: Uint8Array, server: Uint8Array): Recognised | undefined {
  const [said, answered] = [view(client), view(server)];
  return mysql(said, answered) ?? postgresql(said) ?? redis(said) ?? tls(said) ?? amqp(said);
}

const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const word = (bytes: Buffer, from: number): string => {
  const end = bytes.indexOf(0, from);
  return bytes.toString("utf8", Math.min(from, bytes.length), end < 0 ? bytes.length : end).slice(0, 200);
};

/** The server greets, with version 10 of its protocol. */
function mysql(client: Buffer, server: Buffer): Recognised | undefined {
  if (server.length < 6 || server[3] !== 0 || server[4] !== 10) return undefined;
  const version = `server ${word(server, 5)}`;
  // A client that wants TLS says no more than that before it has it: 32 bytes, and no user.
  const user = client.length > 36 && client.readUIntLE(0, 3) > 32 ? word(client, 36) : "";
  return { name: "MYSQL", about: user === "" ? `${version}, over TLS` : `${user}, ${version}` };
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html: StartupMessage, SSLRequest, GSSENCRequest. */
function postgresql(client: Buffer): Recognised | undefined {
  if (client.length < 8) return undefined;
  const [length, code] = [client.readUInt32BE(0), client.readUInt32BE(4)];
  if (length === 8 && (code === 80_877_103 || code === 80_877_104)) return { name: "POSTGRESQL", about: "asks for encryption" };
  if (length > 10_000 || code >>> 16 !== 3) return undefined;
  const words = client.toString("utf8", 8, Math.min(length, client.length)).split("\0");
  const of = (name: string): string | undefined => {
    const at = words.findIndex((each, index) => index % 2 === 0 && each === name);
    return at < 0 ? undefined : words[at + 1];
  };
  const user = of("user") ?? "?";
  return { name: "POSTGRESQL", about: `${user}@${of("database") ?? user}` };
}

/** RESP: an array of strings, of which the first is the command. */
function redis(client: Buffer): Recognised | undefined {
  const first = /^\*\d{1,6}\r\n\$\d{1,3}\r\n([A-Za-z]{2,20})\r\n/.exec(client.toString("latin1", 0, 64));
  return first ? { name: "REDIS", about: `begins with ${first[1]!.toUpperCase()}` } : undefined;
}

function amqp(client: Buffer): Recognised | undefined {
  if (client.length < 8 || client.toString("latin1", 0, 4) !== "AMQP") return undefined;
  return { name: "AMQP", about: `version ${[...client.subarray(5, 8)].join(".")}` };
}

/** A ClientHello (RFC 8446, 4.1.2), and the name of the server in it (RFC 6066, 3). */
function tls(client: Buffer): Recognised | undefined {
  if (client.length < 6 || client[0] !== 0x16 || client[1] !== 3 || client[5] !== 1) return undefined;
  return { name: "TLS", about: serverName(client) ?? "to a server without a name" };
}

function serverName(hello: Buffer): string | undefined {
  try {
    let at = 43;
    at += 1 + hello.readUInt8(at);
    at += 2 + hello.readUInt16BE(at);
    at += 1 + hello.readUInt8(at);
    const end = at + 2 + hello.readUInt16BE(at);
    for (at += 2; at < end; ) {
      const [type, length] = [hello.readUInt16BE(at), hello.readUInt16BE(at + 2)];
      if (type === 0) return hello.toString("latin1", at + 9, at + 9 + hello.readUInt16BE(at + 7)) || undefined;
      at += 4 + length;
    }
  } catch {
    // It is longer than what has come.
  }
  return undefined;
}
