import type { Channel, Consumer } from "./channel.ts";
import type { WebSocketConnection } from "./websocket.ts";

/** `v5.channel.k8s.io`: a message on this channel names the channel that the client has ended. */
const CLOSE_SIGNAL = 255;

/** The `*.channel.k8s.io` protocols: the first byte of each message is its channel's number. */
export function webSocketChannels(
  connection: WebSocketConnection,
  count: number,
  options: { closeSignal?: boolean; close(): void },
): Channel[] {
  let waiting: Array<() => void> = [];
  let open = true;
  let current = -1;
  const onDrain = (resume: () => void): void => void waiting.push(resume);
  const drain = (): void => {
    const resumed = waiting;
    waiting = [];
    for (const resume of resumed) resume();
  };
  const channels = Array.from({ length: count }, (_, id) => new NumberedChannel(id, connection, () => open, onDrain));
  connection.start({
    data(part, first) {
      let rest = part;
      if (first) {
        current = part[0]!;
        rest = part.subarray(1);
      }
      if (rest.length === 0) return;
      if (options.closeSignal && current === CLOSE_SIGNAL) channels[rest[0]!]?.ended();
      else if (channels[current]?.data(rest) === false) connection.pause();
    },
    drain,
    close() {
      open = false;
      for (const channel of channels) channel.ended();
      drain();
      options.close();
    },
  });
  return channels;
}

class NumberedChannel implements Channel {
  readonly #prefix: Buffer;
  readonly #connection: WebSocketConnection;
  readonly #connected: () => boolean;
  readonly onDrain: (resume: () => void) => void;
  #open = true;
  #ended = false;
  #early: Buffer | undefined;
  #consumer: Consumer | undefined;

  constructor(id: number, connection: WebSocketConnection, connected: () => boolean, onDrain: (resume: () => void) => void) {
    this.#prefix = Buffer.from([id]);
    this.#connection = connection;
    this.#connected = connected;
    this.onDrain = onDrain;
  }

  get writable(): boolean {
    return this.#open && this.#connected();
  }

  write(chunk: Buffer): boolean {
    return !this.writable || this.#connection.send(this.#prefix, chunk);
  }

  /** Nothing goes over the wire: these protocols have no end of a channel from the server. */
  end(): void {
    this.#open = false;
  }

  receive(consumer: Consumer): void {
    this.#consumer = consumer;
    const early = this.#early;
    this.#early = undefined;
    if (early && consumer.data(early, () => this.#connection.resume())) this.#connection.resume();
    if (this.#ended) consumer.end();
  }

  data(chunk: Buffer): boolean {
    if (this.#ended) return true;
    if (this.#consumer) return this.#consumer.data(chunk, () => this.#connection.resume());
    this.#early = chunk;
    return false;
  }

  ended(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#consumer?.end();
  }
}
