import { BACKEND_LABEL } from "@shipside/core";
import { type ServiceRules, serviceRules } from "@shipside/tunnel";

/** Which services a session of a namespace has, by its rules: none that an intercept made for its relay alone. */
export function sessionServices(rules: readonly string[], namespace: string): ServiceRules {
  const wanted = serviceRules(rules, namespace);
  return { ...wanted, admits: (service) => !(BACKEND_LABEL in service.labels) && wanted.admits(service) };
}
