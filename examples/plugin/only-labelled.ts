import { definePlugin, type ServiceFacts } from "@shipside/core";

export interface OnlyLabelledOptions {
  /** Default `shipside.dev/teleport`. */
  label?: string;
  /** Told of every session that has opened. Default: a line on stderr. */
  say?(line: string): void;
}

/**
 * Brings over only the services whose owners have agreed to it, by a label on the Service:
 *
 *     kubectl label service/leaf shipside.dev/teleport=true
 */
export function onlyLabelled({ label = "shipside.dev/teleport", say = console.error }: OnlyLabelledOptions = {}) {
  return definePlugin({
    name: "@shipside-examples/plugin",
    // Asked again whenever a service changes: taking the label off takes the service away. It must not depend on anything else.
    serviceSelectors: [({ labels }: ServiceFacts) => labels[label] === "true"],
    hooks: {
      sessionOpened: ({ context, namespace }) => say(`services of ${context}/${namespace} with the label ${label}=true are here`),
    },
  });
}

/** What a plugin module exports for the command line: the plugin itself. */
export default onlyLabelled();
