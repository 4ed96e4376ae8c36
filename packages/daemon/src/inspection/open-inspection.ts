import { type Closable, createCloser } from "@shipside/core";
import {
  createInspector,
  type Exchange,
  type Inspector,
  type ReplayTarget,
  type SessionSource,
  serveInspector,
} from "@shipside/inspector";

/** The inspector of a process, with its page. Only this file loads it. */
export interface OpenInspection extends Closable {
  readonly inspector: Inspector;
  readonly port: number;
  readonly token: string;
  /** Where the page is, for who has the token. */
  readonly url: string;
  link(): string;
  linkOnce(): string;
}

export interface OpenInspectionOptions {
  /** The first one that is tried. */
  port: number | undefined;
  /** The folder of the page's files. */
  page: URL | undefined;
  sessions: SessionSource;
  replayTargets(exchange: Exchange): readonly ReplayTarget[];
}

export async function openInspection({ port, page, sessions, replayTargets }: OpenInspectionOptions): Promise<OpenInspection> {
  const closer = createCloser();
  try {
    const inspector = closer.use(createInspector({ replayTargets }));
    const served = closer.use(
      await serveInspector({ inspector, sessions, ...(port !== undefined && { port }), ...(page && { page }) }),
    );
    return {
      inspector,
      port: served.port,
      token: served.token,
      url: `http://localhost:${served.port}`,
      link: () => served.link(),
      linkOnce: () => served.linkOnce(),
      close: () => closer.close(),
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close();
    throw error;
  }
}
