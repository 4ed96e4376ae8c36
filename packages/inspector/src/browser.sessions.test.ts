import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasBrowser, openBrowser, type PageBrowser } from "./fixtures/browser.ts";
import type { SessionView, TunnelView } from "./sessions.ts";

describe.runIf(hasBrowser)("the page in a browser, on sessions", { timeout: 60_000 }, () => {
  let browser: PageBrowser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser?.[Symbol.asyncDispose]());

  it("shows sessions and their tunnels as they change, with rates, in dark and light, narrow and wide", async () => {
    let sessions: SessionView[] = [];
    await using visit = await browser.open({ sessions: () => sessions });
    const { page, served, wrong, shot, violations } = visit;
    let passed = 0;
    const tunnel = (service: string, more: Partial<TunnelView> = {}): TunnelView => ({
      ...{ direction: "out", namespace: "shop", service, port: 80, protocol: "TCP", state: "listening" },
      ...{ address: "127.72.0.9:80", error: "", pods: [{ name: `shop/${service}-5d9c-x2`, ready: true }] },
      ...{ connections: { open: 0, total: 0, failed: 0 }, bytes: { sent: 0, received: 0 } },
      ...more,
    });
    const session = (more: Partial<SessionView>): SessionView => ({
      ...{ id: "a1b2c3", name: "out", kind: "teleport", of: "deployment/core", context: "dev", namespace: "shop" },
      ...{ openedAt: "2026-01-01T12:00:00.000Z", health: "well", notes: ["the API server answers in 4 ms"], tunnels: [] },
      ...more,
    });
    const busy = (): TunnelView =>
      tunnel("leaf", {
        connections: { open: 2, total: passed, failed: 1 },
        bytes: { sent: passed * 100, received: passed * 4_000 },
      });
    const broken = tunnel("admin", { state: "failed", address: "", error: "could not listen on 127.72.0.3:80", pods: [] });
    const now = (): SessionView[] => [
      session({ tunnels: [tunnel("quiet"), busy(), broken] }),
      session({
        id: "d4e5f6",
        name: "d4e5f6",
        kind: "intercept",
        of: "service/core",
        health: "unwell",
        notes: ["no relay is linked"],
      }),
    ];
    sessions = now();
    await page.goto(served.link());
    await page.getByRole("button", { name: "Sessions (2)" }).waitFor();
    await page.keyboard.press("s");
    const rowsOf = () => page.getByRole("article", { name: "Session out" }).getByRole("row");
    // What is broken is first, then where something happens.
    await expect.poll(() => rowsOf().count()).toBe(4);
    expect(await rowsOf().nth(1).textContent()).toContain("could not listen");
    await expect.poll(() => page.getByRole("button", { name: "Sessions (2)" }).getAttribute("aria-pressed")).toBe("true");
    expect(await page.getByRole("article", { name: "Session d4e5f6" }).textContent()).toContain("● not well");
    const passing = setInterval(() => {
      passed += 50;
      sessions = now();
    }, 100);
    try {
      await expect
        .poll(() => rowsOf().nth(2).textContent(), { timeout: 15_000 })
        .toMatch(/leaf\.shop:80.*2 open, 1 failed\d+\.\d\/s.*[kM]B\/s/);
      await shot("sessions");
      expect(await violations()).toEqual([]);
    } finally {
      clearInterval(passing);
    }
    // When nothing moves any more, that is said too.
    await expect.poll(() => rowsOf().nth(2).textContent(), { timeout: 15_000 }).not.toContain("/s");
    await page.emulateMedia({ colorScheme: "dark" });
    for (const width of [360, 2560]) {
      await page.setViewportSize({ width, height: 900 });
      expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
      await shot(`sessions-dark-${width}`);
      expect(await violations()).toEqual([]);
    }
    await page.keyboard.press("s");
    await expect.poll(() => page.getByRole("listbox").isVisible()).toBe(true);
    sessions = [];
    await expect.poll(() => page.getByRole("button", { name: "Sessions (0)" }).count(), { timeout: 15_000 }).toBe(1);
    expect(wrong).toEqual([]);
  });
});
