/**
 * One thing that every implementation of an interface must do. A suite is an array of these and knows no test runner:
 *
 * ```ts
 * for (const { name, run } of hostsOwnerContract({ open })) it(name, run);
 * ```
 */
export interface ContractCase {
  name: string;
  /** Throws where the implementation doesn't keep the contract. */
  run(): Promise<void>;
}
