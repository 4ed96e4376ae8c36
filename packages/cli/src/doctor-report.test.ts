import type { DoctorLine } from "@shipside/daemon/doctor";
import { describe, expect, test } from "vitest";
import { renderDoctor, summary } from "./doctor-report.ts";

const lines: DoctorLine[] = [
  { check: "server", title: "API server", level: "ok", text: "https://127.0.0.1:6443 answers in 3 ms" },
  {
    check: "rights",
    title: "rights",
    level: "problem",
    text: "may not create pods/portforward in namespace shop: needed by teleport namespace, teleport",
    hint: "ask for this rule in a Role in namespace shop, which somebody else has to do for you",
  },
  { check: "rights", title: "rights", level: "warning", text: "may not list pods in namespace shop", hint: "the same" },
];
const plain = { paint: (_style: string, text: string): string => text, unicode: true, quiet: false };

describe("the report", () => {
  test("on a terminal of 60 columns: a mark, a title told once, text and hint below each other", () => {
    expect(renderDoctor({ lines }, { ...plain, width: 60 })).toBe(
      [
        "✓ API server  https://127.0.0.1:6443 answers in 3 ms",
        "✗ rights      may not create pods/portforward in namespace",
        "              shop: needed by teleport namespace, teleport",
        "              hint: ask for this rule in a Role in",
        "              namespace shop, which somebody else has to do",
        "              for you",
        "!             may not list pods in namespace shop",
        "              hint: the same",
      ].join("\n"),
    );
  });

  test("in a pipe: words instead of marks, and a line for each", () => {
    expect(
      renderDoctor({ lines }, { ...plain, width: undefined })
        .split("\n")
        .slice(0, 3),
    ).toEqual([
      "ok      API server  https://127.0.0.1:6443 answers in 3 ms",
      "problem rights      may not create pods/portforward in namespace shop: needed by teleport namespace, teleport",
      "                    hint: ask for this rule in a Role in namespace shop, which somebody else has to do for you",
    ]);
  });

  test("quiet leaves out what is well; without Unicode the marks are ASCII", () => {
    const shown = renderDoctor({ lines }, { ...plain, width: 200, quiet: true, unicode: false });
    expect(shown).toMatch(/^x rights {2}may not create/);
    expect(shown).not.toContain("API server");
  });

  test("the summary counts", () => {
    expect(summary(lines)).toBe("1 problem, 1 warning");
    expect(summary(lines.slice(0, 1))).toBe("all is well");
  });
});
