import { expect, it } from "vitest";
import { codeOf } from "./errors.ts";
import { definePlugin } from "./plugin.ts";

it("returns the plugin with its own type", () => {
  const plugin = definePlugin({ name: "p", hooks: { sessionOpened() {} }, serviceSelectors: [() => true] });
  const name: "p" = plugin.name;
  expect(name).toBe("p");
});

it.each([
  ["null", null],
  ["no name", {}],
  ["empty name", { name: "" }],
  ["unknown field", { name: "p", hook: {} }],
  ["list that is none", { name: "p", dialers: {} }],
  ["selector that is no function", { name: "p", serviceSelectors: ["all"] }],
  ["interceptor that connects nothing", { name: "p", interceptors: [{ name: "i" }] }],
  ["unknown hook", { name: "p", hooks: { sessionOpend() {} } }],
  ["hook that is no function", { name: "p", hooks: { sessionOpened: "yes" } }],
])("refuses %s, naming the plugin", (_, plugin) => {
  try {
    definePlugin(plugin as never);
    expect.unreachable();
  } catch (error) {
    expect(codeOf(error)).toBe("PLUGIN_INVALID");
    expect((error as Error).message).toMatch(/^plugin "(p|\(no name\))?"/);
  }
});
