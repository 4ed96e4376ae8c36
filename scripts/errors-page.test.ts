import { expect, it } from "vitest";
import { errorsPage, writtenErrorsPage } from "./errors-page.ts";

it("docs/errors.md lists every code (else run `pnpm docs:errors`)", async () => {
  expect(writtenErrorsPage()).toBe(await errorsPage());
}, 60_000);
