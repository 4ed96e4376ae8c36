import { type Invocation, text } from "./command.ts";

/** Which cluster and namespace, as far as the command line says it. */
export interface Where {
  kubeconfig?: string;
  context?: string;
  namespace?: string;
}

export function whereOf(invocation: Invocation): Where {
  const where: Where = {};
  for (const name of ["kubeconfig", "context", "namespace"] as const) {
    const value = text(invocation, name);
    if (value !== undefined) where[name] = value;
  }
  return where;
}
