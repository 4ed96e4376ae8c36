import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMask, MASKED, maskData, maskTexts } from "./mask.ts";

const nothingKnown = createMask([]);

describe("what looks like a secret", () => {
  test.each([
    ['{"password":"hunter2","user":"me"}', "hunter2"],
    ['{"msg":"sent {\\"apiKey\\":\\"abc-123\\"}"}', "abc-123"],
    ["DB_PASSWORD=hunter2 started", "hunter2"],
    ["API_TOKEN='two words'", "two words"],
    ["password: hunter2", "hunter2"],
    ["login --token hunter2 --verbose", "hunter2"],
    ["login --client-secret=hunter2", "hunter2"],
    ["Authorization: Bearer abc.def-ghi", "abc.def-ghi"],
    ["authorization: Basic bWU6aHVudGVyMg==", "bWU6aHVudGVyMg"],
    ["GET https://me:hunter2@host/path", "hunter2"],
    ["GET https://host/cb?access_token=hunter2&x=1", "hunter2"],
    ["token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl", "eyJzdWIiOiJtZSJ9"],
    ["-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----", "MIIabc"],
    ['"key":"-----BEGIN PRIVATE KEY-----\\nMIIabc\\n-----END PRIVATE KEY-----"', "MIIabc"],
    ["-----BEGIN PRIVATE KEY-----\nMIIabc", "MIIabc"],
    ['{"kind":"Secret","data":{"anything":"aHVudGVyMg=="}}', "aHVudGVyMg"],
    ["kind: Secret\ndata:\n  anything: aHVudGVyMg==\n  more: eA==\nmetadata: {}", "aHVudGVyMg"],
    ["session AKiaIOSFODNN7EXAMPLEkeyBPxRfiCY began", "AKiaIOSFODNN7EXAMPLEkeyBPxRfiCY"],
    ["Cookie: sid=abcdef", "sid=abcdef"],
  ])("%j", (text, secret) => {
    expect(text).toContain(secret);
    expect(nothingKnown(text)).not.toContain(secret);
    expect(nothingKnown(text)).toContain(MASKED);
  });

  test.each([
    "context kind-dev, namespace shop, from /home/Anna/Projects2026/infra/kubeconfig-Dev1.yaml",
    "pod core-7968d769c6-45dth of deployment/core is ready",
    "run 550e8400-e29b-41d4-a716-446655440000 on https://127.0.0.1:6443",
    '{"run":"1a2b","kind":"hosts","pid":4711}',
    "may not create pods/portforward in namespace shop: needed by teleport namespace, teleport",
  ])("is left as it is: %j", (text) => {
    expect(nothingKnown(text)).toBe(text);
  });
});

describe("known secrets", () => {
  test("are found in every form in which they may stand", () => {
    // Nothing that a pattern could see.
    const secret = fc.string({ minLength: 6, maxLength: 30, unit: "grapheme" }).filter((text) => text.trim().length >= 6);
    fc.assert(
      fc.property(secret, (text) => {
        const mask = createMask([text]);
        const bytes = Buffer.from(text, "utf8");
        const forms = [
          text,
          JSON.stringify(text).slice(1, -1),
          encodeURIComponent(text),
          bytes.toString("base64"),
          bytes.toString("hex"),
        ];
        for (const form of forms) expect(mask(`before |${form}| after`)).not.toContain(`|${form}|`);
      }),
    );
  });

  test("a key's lines, where a log has broken it up", () => {
    const mask = createMask(["-----BEGIN KEY-----\nmiibogibaajbakj34gke\nvncheuvowieujw48\n-----END KEY-----\n"]);
    expect(mask("log: miibogibaajbakj34gke\nlog: vncheuvowieujw48")).toBe(`log: ${MASKED}\nlog: ${MASKED}`);
  });

  test("one that is part of another is no obstacle", () => {
    expect(createMask(["hunter", "hunter2-long"])("x hunter2-long y")).toBe(`x ${MASKED} y`);
  });

  test("in plain data, with its form kept", () => {
    const mask = createMask(["hunter2"]);
    const data = { a: ["x hunter2"], b: { c: 1, d: null, e: true }, url: "http://u:p@h", apiToken: "x", tokens: 3 };
    const masked = { ...data, a: [`x ${MASKED}`], url: `http://${MASKED}@h` };
    expect(maskTexts(data, mask)).toEqual(masked);
    expect(maskData(data, mask)).toEqual({ ...masked, apiToken: MASKED });
  });
});
