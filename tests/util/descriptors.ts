/**
 * The open descriptors of the process, from /proc.
 *
 * @module
 */

/** `fcntl(2)`, in the octal that /proc writes them in. */
const NONBLOCK = 0o4000;
const CLOSE_ON_EXEC = 0o2000000;

/** Something open that can be waited for or with. */
export interface Descriptor {
  /** Its kind, with its number: `socket:[123]`. */
  readonly kind: string;
  readonly isNonblocking: boolean;
  readonly isCloseOnExec: boolean;
  /** The text of its `fdinfo`. */
  readonly info: string;
}

/**
 * Returns sockets, pipes, event polls and event descriptors by their numbers:
 * files come and go with the test runner, and what denio opens is none.
 * Empty where there is no /proc.
 */
export function descriptors(): Map<string, Descriptor> {
  const found = new Map<string, Descriptor>();
  if (Deno.build.os !== "linux") return found;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    const descriptor = describe(name);
    if (descriptor !== undefined) found.set(name, descriptor);
  }
  return found;
}

/** Returns the descriptors that were opened since `before` was taken. */
export function descriptorsSince(
  before: ReadonlyMap<string, Descriptor>,
): Descriptor[] {
  return [...descriptors()]
    .filter(([name, { kind }]) => before.get(name)?.kind !== kind)
    .map(([, descriptor]) => descriptor);
}

function describe(name: string): Descriptor | undefined {
  try {
    const kind = Deno.readLinkSync(`/proc/self/fd/${name}`);
    if (!/^(socket|pipe|anon_inode):/.test(kind)) return undefined;
    const info = Deno.readTextFileSync(`/proc/self/fdinfo/${name}`);
    const flags = parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? "0", 8);
    return {
      kind,
      isNonblocking: (flags & NONBLOCK) !== 0,
      isCloseOnExec: (flags & CLOSE_ON_EXEC) !== 0,
      info,
    };
  } catch {
    // It was the descriptor of the listing itself.
    return undefined;
  }
}
