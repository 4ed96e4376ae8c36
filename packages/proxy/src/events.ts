/** What expose and intercept tell while they open and as long as they are open. */
export type ProxyEvent =
  /** Something worth knowing that needs no doing, in a sentence. */
  { kind: "notice"; message: string } | { kind: "warning"; error: Error };

export type OnProxyEvent = (event: ProxyEvent) => void;
