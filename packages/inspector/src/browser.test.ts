import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect as connectHttp2, createServer as createHttp2 } from "node:http2";
import { type AddressInfo, connect as connectTcp, createServer as createTcp } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grpcBody } from "./decode/grpc.ts";
import { hasBrowser, openBrowser, type PageBrowser, type Visit } from "./fixtures/browser.ts";

describe.runIf(hasBrowser)("the page in a browser", { timeout: 60_000 }, () => {
  let browser: PageBrowser;
  let answers = 0;
  const hostile = `<script>window.ran=1</script><img src=x onerror="window.ran=1"></pre><svg onload=window.ran=1>`;
  const app = createServer((incoming, response) => {
    answers++;
    const { url = "/" } = incoming;
    response.setHeader("set-cookie", "session=hunter2");
    // A connection that is kept belongs to the test that opened it, and so to its inspector.
    response.setHeader("connection", "close");
    if (url.startsWith("/hostile")) response.setHeader("content-type", "text/html");
    else response.setHeader("content-type", "application/json");
    response.statusCode = url.startsWith("/broken") ? 503 : 200;
    incoming
      .resume()
      .on("end", () =>
        response.end(url.startsWith("/hostile") ? hostile : JSON.stringify({ path: url, answers, items: [1, 2, 3] })),
      );
  });
  let origin = "";
  const ask = (path: string, init?: RequestInit): Promise<unknown> => fetch(origin + path, init).then((answer) => answer.text());

  const open = async (): Promise<Visit> => {
    const visit = await browser.open();
    visit.inspector.watch(app);
    return visit;
  };

  beforeAll(async () => {
    browser = await openBrowser();
    await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]();
    app.closeAllConnections();
    app.close();
  });

  it("loads by its link, shows what comes, filters, opens, masks, sends again, compares, exports", async () => {
    await using visit = await open();
    const { page, inspector, served, wrong, rows, shot, violations } = visit;
    await ask("/first?x=1", { headers: { authorization: "Bearer hunter2" } });
    await page.goto(served.link());
    await expect.poll(() => rows().count()).toBe(1);
    expect(page.url()).not.toContain("token");
    expect(await page.evaluate("document.cookie")).toBe("");
    await ask("/second", { method: "POST", headers: { "content-type": "application/json" }, body: '{"cart":7}' });
    await ask("/broken");
    await expect.poll(() => rows().count()).toBe(3);
    await shot("list");

    await page.getByRole("searchbox").fill("status:5xx");
    await expect.poll(() => rows().allTextContents()).toEqual([expect.stringContaining("/broken")]);
    await page.getByRole("searchbox").fill("status:nonsense");
    await expect.poll(() => page.getByRole("status").textContent()).toContain("is no status");
    expect(await page.getByRole("contentinfo").textContent()).toContain("waits for a filter");
    await page.getByRole("searchbox").fill("");
    await expect.poll(() => rows().count()).toBe(3);

    await rows().filter({ hasText: "/first" }).click();
    await page.getByRole("tab", { name: "Request" }).click();
    await expect.poll(() => page.getByRole("tabpanel").textContent()).toContain("Bearer ••••••");
    await page.getByRole("button", { name: "Show secrets" }).click();
    await expect.poll(() => page.getByRole("tabpanel").textContent()).toContain("hunter2");
    await shot("detail");
    expect(await violations()).toEqual([]);

    await page.getByRole("tab", { name: "Send again" }).click();
    await page.getByLabel("Path").fill("/edited");
    await shot("replay");
    expect(await violations()).toEqual([]);
    await page.getByRole("button", { name: "Send again" }).click();
    await expect.poll(() => page.getByRole("tabpanel").textContent()).toContain("The answers differ.");
    await expect.poll(() => page.getByLabel("Bodies side by side").textContent()).toContain('"path": "/edited"');
    await shot("diff");
    expect(await violations()).toEqual([]);

    const [download] = await Promise.all([page.waitForEvent("download"), page.locator(".top").getByText("HAR").click()]);
    const har = JSON.parse(await readFile(await download.path(), "utf8"));
    expect(har.log.entries).toHaveLength((await inspector.list()).length);
    expect(wrong.filter((text) => !text.includes("400"))).toEqual([]);
  });

  it("is used by keyboard alone", async () => {
    await using visit = await open();
    const { page, inspector, served, wrong, rows, violations } = visit;
    for (const path of ["/a", "/b", "/c"]) await ask(path);
    await page.goto(served.link());
    await expect.poll(() => rows().count()).toBe(3);
    await page.keyboard.press("/");
    await page.keyboard.type("path:/a|/b");
    await expect.poll(() => rows().count()).toBe(2);
    await page.keyboard.press("Enter");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.getByRole("heading", { level: 2 }).textContent()).toContain("/a");
    await page.keyboard.press("p");
    await expect.poll(() => inspector.get(1)?.pinned).toBe(true);
    await page.keyboard.press("Space");
    await ask("/b-later");
    await expect.poll(() => page.getByRole("button", { name: "Go on (1 new)" }).count()).toBe(1);
    expect(await rows().count()).toBe(2);
    await page.keyboard.press("Space");
    await expect.poll(() => rows().count()).toBe(3);
    await page.keyboard.press("Escape");
    await expect.poll(() => page.getByRole("heading", { level: 2 }).count()).toBe(0);
    await page.keyboard.press("?");
    await expect.poll(() => page.getByRole("dialog").count()).toBe(1);
    expect(await violations()).toEqual([]);
    expect(wrong).toEqual([]);
  });

  it("shows hostile bodies as data, in dark and light, narrow and wide", async () => {
    await using visit = await open();
    const { page, served, wrong, rows, shot, violations } = visit;
    await ask(`/hostile?${encodeURI(hostile)}`);
    await ask("/other");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.goto(served.link(1));
    await expect.poll(() => page.getByRole("region", { name: "Body of the answer" }).textContent()).toBe(hostile);
    expect(await page.evaluate("window.ran")).toBeUndefined();
    const ground = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
    expect(await ground()).toBe("rgb(20, 24, 29)");
    await shot("dark");
    expect(await violations()).toEqual([]);
    for (const [width, height] of [
      [360, 740],
      [2560, 1400],
    ] as const) {
      await page.setViewportSize({ width, height });
      expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
      await shot(`dark-${width}`);
    }
    await page.emulateMedia({ colorScheme: "light" });
    expect(await ground()).toBe("rgb(255, 255, 255)");
    await page.setViewportSize({ width: 360, height: 740 });
    await page.getByRole("button", { name: "Close the request" }).click();
    await expect.poll(() => rows().count()).toBe(2);
    await shot("light-360");
    expect(await violations()).toEqual([]);
    expect(wrong).toEqual([]);
  });

  it("shows a call of gRPC by how it ended, sends it again edited, message by message, and says when it has gone", async () => {
    await using visit = await open();
    const { page, inspector, served, wrong, rows, shot, violations } = visit;
    const calls = createHttp2().on("stream", (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc+json" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "5", "grpc-message": "no such cart" }));
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part)).once("end", () => stream.end(Buffer.concat(parts)));
    });
    await new Promise<void>((resolve) => calls.listen(0, "127.0.0.1", resolve));
    const { port } = calls.address() as AddressInfo;
    const front = createTcp({ allowHalfOpen: true }, (client) => {
      const facts = { direction: "incoming", localPort: port, service: "cart" } as const;
      void inspector.join(client, connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true }), facts);
    });
    await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
    try {
      const session = connectHttp2(`http://127.0.0.1:${(front.address() as AddressInfo).port}`);
      const call = session.request({ ":method": "POST", ":path": "/shop.Cart/Get", "content-type": "application/grpc+json" });
      call.resume().end(grpcBody([Buffer.from('{"id":1}'), Buffer.from('{"id":2}')]));
      await new Promise((resolve) => call.once("close", resolve));
      session.destroy();
      await page.goto(served.link());
      await rows().filter({ hasText: "NOT_FOUND /shop.Cart/Get" }).click();
      await expect.poll(() => page.getByRole("tabpanel").textContent()).toContain("gRPC 5 NOT_FOUND: no such cart");
      await page.getByRole("tab", { name: "Send again" }).click();
      await page.getByLabel("Message 2 (JSON)").fill('{"id":3}');
      await page.getByRole("button", { name: "Add a message" }).click();
      await page.getByLabel("Message 3 (JSON)").fill("{}");
      await page.getByRole("button", { name: "Remove message 1" }).click();
      await shot("grpc-replay");
      expect(await violations()).toEqual([]);
      await page.getByRole("button", { name: "Send again" }).click();
      await expect.poll(() => page.getByLabel("Bodies side by side").textContent()).toContain('"id": 3');
      expect(Buffer.from(inspector.get(2)!.requestBody.kept)).toEqual(grpcBody([Buffer.from('{"id":3}'), Buffer.from("{}")]));
      await page.keyboard.press("Escape");
      await page.keyboard.press("?");
      await expect.poll(() => page.getByRole("dialog").textContent()).toContain("status:5xx");
      expect(await violations()).toEqual([]);
      await page.keyboard.press("Escape");
      expect(wrong).toEqual([]);
      await served.close();
      await expect.poll(() => page.getByRole("alert").textContent()).toContain("Shipside doesn't answer");
      await shot("lost");
      expect(await violations()).toEqual([]);
    } finally {
      front.close();
      calls.close();
    }
  });

  it("shows nothing to who has no token", async () => {
    await using visit = await open();
    const { page, served } = visit;
    await ask("/secret");
    await page.goto(`http://localhost:${served.port}/`);
    await expect.poll(() => page.locator("main").textContent()).toContain("shipside inspect");
    expect(await page.content()).not.toContain("/secret");
  });
});
