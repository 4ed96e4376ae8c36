import type { Reporter, TestCase } from "vitest/node";

/** Names the tests that passed only when tried again, so that a retry in CI hides nothing. */
export default class FlakyReporter implements Reporter {
  readonly #flaky: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky) this.#flaky.push(`${test.module.relativeModuleId} > ${test.fullName}`);
  }

  onTestRunEnd(): void {
    for (const name of this.#flaky) console.log(`flaky: ${name}`);
    if (this.#flaky.length > 0) console.log(`${this.#flaky.length} of the tests passed only when tried again`);
  }
}
