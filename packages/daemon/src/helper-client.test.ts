import { EventEmitter, once } from "node:events";
import { createServer, type Server } from "node:net";
import { type ListenerFactory, type ListenRequest, ShipsideError } from "@shipside/core";
import { expect, test } from "vitest";
import { HELPER_PROTOCOL } from "./helper/requests.ts";
import { connectHelper, type HelperChannel } from "./helper-client.ts";
import { listenersWithHelper } from "./helper-listeners.ts";

type Message = { id: number; op: string };

/** A helper made of a function: undefined is no answer. */
function channelTo(answer: (message: Message) => object | undefined) {
  const events = new EventEmitter();
  const sent: Message[] = [];
  const channel = Object.assign(events, {
    connected: true,
    send(message: Message, done: (error: Error | null) => void) {
      sent.push(message);
      const said = answer(message);
      if (said) setImmediate(() => events.emit("message", { id: message.id, ...said }, undefined));
      done(null);
      return true;
    },
    disconnect() {
      channel.connected = false;
      events.emit("disconnect");
    },
  });
  return { channel: channel as unknown as HelperChannel, events, sent };
}

const hello = { result: { protocol: HELPER_PROTOCOL, pid: 7, version: "1.2.3" } };

test("a helper of another protocol is named as such, and one that says nothing isn't waited for", async () => {
  const other = channelTo(() => ({ result: { protocol: 99, pid: 7 } }));
  await expect(connectHelper(other.channel)).rejects.toMatchObject({
    code: "HELPER_VERSION",
    hint: expect.stringContaining("--install"),
  });
  expect(other.events.listenerCount("message")).toBe(0);
  const silent = channelTo(() => undefined);
  await expect(connectHelper(silent.channel, { timeoutMs: 20 })).rejects.toMatchObject({ code: "HELPER_GONE" });
});

test("the end of the helper ends what waits for it, and is told", async () => {
  const { channel, events } = channelTo(({ op }) => (op === "hello" ? hello : undefined));
  const helper = await connectHelper(channel);
  const waiting = helper.listeners().listen({ address: "127.72.0.1", port: 80 });
  setImmediate(() => {
    Object.assign(channel, { connected: false });
    events.emit("disconnect");
  });
  await expect(waiting).rejects.toMatchObject({ code: "LISTEN_FORBIDDEN", cause: { code: "HELPER_GONE" } });
  expect(helper.ended.reason).toMatchObject({ code: "HELPER_GONE" });
  await helper.close();
});

test("what the helper could not undo is told at the end", async () => {
  const left = { error: { code: "UNDO_FAILED", message: "the helper left something behind" } };
  const { channel, sent } = channelTo(({ op }) => (op === "hello" ? hello : left));
  const helper = await connectHelper(channel);
  await expect(helper.close()).rejects.toMatchObject({ code: "UNDO_FAILED" });
  await expect(helper.close()).rejects.toMatchObject({ code: "UNDO_FAILED" });
  expect(sent.map(({ op }) => op)).toEqual(["hello", "bye"]);
  expect(channel.connected).toBe(false);
});

test("a socket that comes when nobody waits for it any more is closed", async () => {
  const { channel, events } = channelTo(({ op }) => (op === "hello" ? hello : undefined));
  await connectHelper(channel);
  const late: Server = createServer();
  await once(late.listen(0, "127.0.0.1"), "listening");
  events.emit("message", { id: 99, result: {} }, late);
  expect(late.listening).toBe(false);
});

test("the helper is asked only for what this process may not do", async () => {
  const asked: ListenRequest[] = [];
  const failing = (code: string, cause?: unknown): Required<ListenerFactory> => ({
    name: "local",
    listen: () => Promise.reject(new ShipsideError(code, "", { cause })),
    listenDatagrams: () => Promise.reject(new ShipsideError(code, "", { cause })),
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  });
  const refuse = async (request: ListenRequest): Promise<never> => {
    asked.push(request);
    throw new ShipsideError("LISTEN_FORBIDDEN", "by the helper");
  };
  const helper = { ...failing("LISTEN_FAILED"), listen: refuse, listenDatagrams: refuse };
  const low = { address: "127.72.0.1", port: 80 };
  const missing = Object.assign(new Error(), { code: "EADDRNOTAVAIL" });
  for (const method of ["listen", "listenDatagrams"] as const) {
    const listen = (code: string, cause?: unknown): Promise<unknown> =>
      listenersWithHelper(helper, failing(code, cause))[method](low);
    await expect(listen("LISTEN_FORBIDDEN")).rejects.toThrow("by the helper");
    await expect(listen("LISTEN_FAILED", missing)).rejects.toThrow("by the helper");
    expect(asked.splice(0)).toEqual([low, low]);
    await expect(listen("LISTEN_IN_USE")).rejects.toMatchObject({ code: "LISTEN_IN_USE" });
    await expect(listen("LISTEN_FAILED")).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    expect(asked).toEqual([]);
    await using own = listenersWithHelper(helper);
    expect((await own[method]({ address: "127.72.0.1", port: 0 })).port).toBeGreaterThan(0);
  }
});
