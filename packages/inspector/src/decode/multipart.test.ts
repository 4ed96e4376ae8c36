import fc from "fast-check";
import { expect, it } from "vitest";
import { multipartFields } from "./multipart.ts";
import { viewBody } from "./view.ts";

/** As a browser sends it. */
async function sent(form: FormData): Promise<{ type: string; body: Buffer }> {
  const request = new Request("http://localhost/", { method: "POST", body: form });
  return { type: request.headers.get("content-type")!, body: Buffer.from(await request.arrayBuffer()) };
}

it("reads what a browser sends: fields in their order, files with their names and sizes", async () => {
  const text = fc.string({ unit: fc.constantFrom("a", "é", '"', "-", " ", ";", "=", "€", "\r\n") });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(text, text, fc.boolean()), { minLength: 1, maxLength: 5 }), async (fields) => {
      const form = new FormData();
      for (const [name, value, isFile] of fields)
        if (isFile) form.append(name, new Blob([value], { type: "text/x" }), `${name}.txt`);
        else form.append(name, value);
      const { type, body } = await sent(form);
      expect(multipartFields(type, body)).toEqual(
        fields.map(([name, value, isFile]) => ({
          ...{ name, value },
          ...(isFile && { filename: `${name}.txt`, contentType: "text/x", bytes: Buffer.byteLength(value) }),
        })),
      );
    }),
    { numRuns: 50 },
  );
});

it("whatever it is given, nothing is thrown; what has no boundary is no form", async () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void multipartFields("multipart/form-data; boundary=x", Buffer.from(bytes))));
  expect(multipartFields("multipart/form-data", Buffer.from("--x"))).toBeUndefined();
});

it("shows the fields, a file that is no text by its size, and no text that an editor would spoil", async () => {
  const form = new FormData();
  form.append("title", "A holiday");
  form.append("picture", new Blob([Uint8Array.from([0, 1, 255])], { type: "image/png" }), "sea.png");
  const { type, body } = await sent(form);
  const view = await viewBody([["content-type", type]], { bytes: body.length, kept: body });
  expect(view).toMatchObject({
    kind: "form",
    text: "",
    form: [
      { name: "title", value: "A holiday" },
      { name: "picture", value: "", filename: "sea.png", contentType: "image/png", bytes: 3 },
    ],
  });
});
