import { brotliCompressSync } from "node:zlib";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, it } from "vitest";
import { makeExchange } from "./fixtures/exchange.ts";
import { toHar } from "./har.ts";

const text = { type: "string" } as const;
const whole = { type: "integer", minimum: -1 } as const;
const list = (items: object) => ({ type: "array", items });
const object = (properties: Record<string, object>, optional: readonly string[] = []) => ({
  type: "object",
  properties: { ...properties, comment: text },
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
});
const pairs = list(object({ name: text, value: text }));
const cookies = list(
  object({ name: text, value: text, path: text, domain: text, expires: text, httpOnly: { type: "boolean" } }, [
    ...["path", "domain", "expires", "httpOnly"],
  ]),
);
const message = { httpVersion: text, cookies, headers: pairs, headersSize: whole, bodySize: whole };
/** A name with an underscore ahead is a program's own. http://www.softwareishard.com/blog/har-12-spec/, as far as an archive without pages goes. */
const har12 = object({
  log: object({
    version: { const: "1.2" },
    creator: object({ name: text, version: text }),
    entries: list(
      object({
        startedDateTime: { type: "string", pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[+-]\\d\\d:\\d\\d)$" },
        time: { type: "number", minimum: 0 },
        request: object(
          {
            ...{ ...message, method: text, url: { type: "string", pattern: "^https?://[^#]+$" }, queryString: pairs },
            postData: object(
              {
                mimeType: text,
                params: list(object({ name: text, value: text }, ["value"])),
                text,
                _encoding: { const: "base64" },
              },
              ["_encoding"],
            ),
          },
          ["postData"],
        ),
        response: object({
          ...{ ...message, status: { type: "integer" }, statusText: text, redirectURL: text },
          content: object({ size: whole, mimeType: text, text, encoding: { const: "base64" } }, ["text", "encoding"]),
        }),
        cache: object({}),
        timings: object({ send: { type: "number" }, wait: { type: "number" }, receive: { type: "number" } }),
      }),
    ),
  }),
});
const validate = new Ajv2020({ strict: false }).compile(har12);

it("an archive is one of HTTP Archive 1.2, whatever was captured", async () => {
  const exchanges = [
    makeExchange(),
    makeExchange({
      ...{ method: "POST", path: "/login?next=%2Fcart&next=2#no", status: 302 },
      requestHeaders: [
        ["Host", "shop:80"],
        ["Cookie", "a=1; b"],
        ["Content-Type", "application/x-www-form-urlencoded"],
      ],
      responseHeaders: [
        ["Location", "/cart"],
        ["Set-Cookie", "s=1; Path=/"],
      ],
      requestBody: "user=alice",
    }),
    makeExchange({ method: "PUT", requestBody: Buffer.from([0, 255]), responseBody: Buffer.from([0xff, 0xfe]) }),
    makeExchange({ method: "OPTIONS", path: "*", requestHeaders: [] }),
    makeExchange({ responseHeaders: [["content-encoding", "br"]], responseBody: brotliCompressSync("packed") }),
    makeExchange({ responseHeaders: [["content-encoding", "br"]], responseBody: "not packed" }),
    makeExchange({ path: "http://elsewhere/absolute?x=1" }),
  ];
  for (const reveal of [false, true]) {
    const har = JSON.parse(JSON.stringify(await toHar(exchanges, { reveal })));
    expect(validate(har), JSON.stringify(validate.errors)).toBe(true);
    expect(har.log.entries).toHaveLength(exchanges.length);
    for (const { time, timings } of har.log.entries) expect(timings.send + timings.wait + timings.receive).toBe(time);
    expect(har.log.entries[4].response.content).toMatchObject({ text: "packed", size: 6 });
  }
});
