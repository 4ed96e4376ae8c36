import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";

export interface Database extends AsyncDisposable {
  /** One command at a time; resolves with the value, or null where there is none. */
  send(...command: string[]): Promise<string | null>;
}

/** A client for the sample's database, which speaks the Redis protocol (RESP2): in your suite, the client of your own database. */
export async function connectDatabase(address: string): Promise<Database> {
  const [host, port] = address.split(":");
  const socket = connect({ host: host!, port: Number(port) });
  await once(socket, "connect");
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error("the database has closed the connection");
    return value;
  };
  return {
    async send(...command) {
      socket.write([`*${command.length}`, ...command.flatMap((word) => [`$${Buffer.byteLength(word)}`, word]), ""].join("\r\n"));
      const head = await line();
      if (head.startsWith("-")) throw new Error(head.slice(1));
      if (!head.startsWith("$")) return head.slice(1);
      return head === "$-1" ? null : line();
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
    },
  };
}
