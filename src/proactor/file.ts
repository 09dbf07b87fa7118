/**
 * An open file, for the operations of a proactor.
 *
 * @module
 */

import { Endpoint } from "../net/endpoint.ts";

/**
 * A file that a proactor has opened: the operations `read`, `write`, `fsync`,
 * `stat`, `splice` and `close` take it. A poll does not: a file is always
 * ready.
 */
export class File extends Endpoint {
  /** Its name in messages. */
  protected get noun(): string {
    return "file";
  }
}
