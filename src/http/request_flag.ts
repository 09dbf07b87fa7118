/**
 * What the answer to a request must know of the request, as bits of one number.
 *
 * @module
 */

/** The bits: above those that a parser of heads has for itself. */
export const RequestFlag = {
  /** The version is HTTP/1.0, which knows no chunks. */
  HTTP_1_0: 128,
  /** The method is HEAD: its answer has no body. */
  HEAD_METHOD: 256,
  /** The method is CONNECT: an answer of success has no body. */
  CONNECT_METHOD: 512,
} as const;
