/** On the Service by which the relay of an intercept reaches the real pods: it is nobody else's, and is in no session and no env. */
export const BACKEND_LABEL = "shipside.dev/backend-of";
