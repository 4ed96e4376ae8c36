// The version of core that a developer works on: the same program, on their own machine, for their eyes only.
process.env["CORE_VERSION"] = "local";
process.env["LISTEN_HOST"] = "127.0.0.1";
await import("./core.ts");
