/**
 * The errors of requests and responses, and the statuses that say them.
 *
 * @module
 */

/** The phrases of RFC 9110 section 15 and of RFC 6585. */
export const REASONS: Readonly<Record<number, string>> = {
  100: "Continue",
  101: "Switching Protocols",
  103: "Early Hints",
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  207: "Multi-Status",
  208: "Already Reported",
  226: "IM Used",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  305: "Use Proxy",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  418: "I'm a teapot",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  510: "Not Extended",
  511: "Network Authentication Required",
};

/** The text that `Deno.serve` prints before an error of `onError`. */
export const ON_ERROR_FAILED = "Exception in onError while handling exception";

const ERROR_BYTES = new TextEncoder().encode("Internal Server Error");

/** Returns the answer for a failed handler: bytes without a type. */
export function internalServerError(): Response {
  return new Response(ERROR_BYTES, { status: 500 });
}

/**
 * Returns the status to send. RFC 6585 section 5 has 431 for a head that is too
 * large; RFC 9110 section 5.4 allows any 4xx, and Deno sends 400.
 *
 * @param isStrict Whether the server is stricter than `Deno.serve`.
 */
export function sentStatus(status: number, isStrict: boolean): number {
  return status === 431 && !isStrict ? 400 : status;
}

/** A request that cannot be served, and the status that says why. */
export class HttpError extends Error {
  /** The error's name, for logs. */
  override readonly name = "HttpError";
  /** The status of the answer, from 400. */
  readonly status: number;

  /**
   * Makes an error for a status.
   *
   * @param status The status of the answer, from 400.
   * @param message What was wrong, for logs; the client does not see it.
   */
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Returns the error for a handler that returned no `Response`. */
export function notAResponse(): TypeError {
  return new TypeError(
    "Return value from serve handler must be a response or a promise " +
      "resolving to a response",
  );
}

/** Returns the error for a response that no server can send. */
export function notSendable(status: number): TypeError {
  if (status === 0) {
    return new TypeError(
      "Return value from serve handler must not be an error response " +
        "(like Response.error())",
    );
  }
  const wanted = status === 101
    ? "it must be what an upgrade of this request has returned"
    : "it must be from 200 to 599";
  return new TypeError(`Cannot answer with status "${status}": ${wanted}`);
}
