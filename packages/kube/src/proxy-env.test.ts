import { expect, test } from "vitest";
import { proxyFromEnv } from "./proxy-env.ts";

const proxy = { HTTPS_PROXY: "http://proxy:3128" };
const asked = (server: string, env: Record<string, string>): string | undefined => proxyFromEnv(new URL(server), env);

test("by scheme; lower case wins; a bare host is http; none is none", () => {
  expect(asked("https://k8s.example:6443", proxy)).toBe("http://proxy:3128");
  expect(asked("http://k8s.example", proxy)).toBeUndefined();
  expect(asked("http://k8s.example", { HTTP_PROXY: "proxy:80" })).toBe("http://proxy:80");
  expect(asked("https://k8s.example", { ...proxy, https_proxy: "socks5://other:1080" })).toBe("socks5://other:1080");
  expect(asked("https://k8s.example", {})).toBeUndefined();
});

test("never for this machine", () => {
  for (const host of ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "a.localhost"])
    expect(asked(`https://${host}:6443`, proxy)).toBeUndefined();
});

test.each([
  ["*", "https://anything", true],
  ["example.com", "https://example.com", true],
  ["example.com", "https://k8s.example.com", true],
  ["example.com", "https://badexample.com", false],
  [".example.com", "https://example.com", false],
  [".example.com", "https://k8s.example.com", true],
  ["*.example.com", "https://k8s.example.com", true],
  ["a, K8S.Example.com ,b", "https://k8s.example.com", true],
  ["example.com:6443", "https://example.com:6443", true],
  ["example.com:6443", "https://example.com", false],
  ["10.0.0.0/8", "https://10.20.30.40:6443", true],
  ["10.0.0.0/8", "https://11.0.0.1", false],
  ["10.0.0.0/99", "https://10.0.0.1", false],
  ["fd00::/8", "https://[fd00::1]", true],
  ["10.1.2.3", "https://10.1.2.3", true],
  ["10.1.2.3:443", "https://10.1.2.3", true],
  ["2.3", "https://10.1.2.3", false],
  ["", "https://example.com", false],
])("NO_PROXY=%s, %s: left out: %s", (list, server, out) => {
  expect(asked(server, { ...proxy, NO_PROXY: list }) === undefined).toBe(out);
});
