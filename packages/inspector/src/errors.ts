import { codedErrors } from "@shipside/core";

export const INSPECTOR_ERRORS = {
  INSPECTOR_OPTIONS_INVALID: "an option of the inspector is outside what it takes",
  INSPECTOR_FILTER_INVALID: "a filter can't be read",
  INSPECTOR_GONE: "the request isn't kept any more, or never was",
  INSPECTOR_PINS_FULL: "pinned requests already take half of what may be kept",
  INSPECTOR_BODY_CUT: "the request was kept only in part, and can't be sent again as it was",
  INSPECTOR_NO_TARGET: "there is no such place to send the request to again",
  INSPECTOR_REPLAY_INVALID: "an edited request isn't one that HTTP can carry",
  INSPECTOR_REPLAY_FAILED: "the request was sent again and not answered",
  INSPECTOR_PORT_TAKEN: "no port is free for the inspector's page",
  INSPECTOR_UNAUTHORIZED: "the inspector was asked without its token",
  INSPECTOR_FORBIDDEN: "the inspector was asked by another site, or under another name",
  INSPECTOR_NOT_FOUND: "the inspector's API has no such path",
  INSPECTOR_REQUEST_INVALID: "the inspector's API was asked in a form that it doesn't take",
  INSPECTOR_PAGE_MISSING: "the files of the inspector's page aren't there",
} as const;

export const inspectorError = codedErrors(INSPECTOR_ERRORS);
