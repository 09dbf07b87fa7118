/** Taking over descriptors by number. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import {
  pipe,
  PipeReader,
  PipeWriter,
  Poll,
  TcpListener,
  TcpStream,
  UdpSocket,
  UnixListener,
  UnixStream,
} from "../../src/poll.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { lacks, NO_PROC } from "../util/machine.ts";
import { runProgram } from "../util/program.ts";
import { libraryFlag, RunningScript } from "../util/scripts.ts";
import { acceptOne, LOOPBACK } from "../util/streams.ts";
import { SocketFolder } from "../util/unix_paths.ts";

const FD_MAX = 0x7fff_ffff;
const NOT_OPEN = 999_999;

/** `fcntl(2)` on Linux: what `/proc/self/fdinfo` shows in octal. */
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** Every class that takes a descriptor, and what it calls one. */
const CLASSES = {
  "a TCP listener": TcpListener,
  "a TCP stream": TcpStream,
  "a Unix listener": UnixListener,
  "a Unix stream": UnixStream,
  "a UDP socket": UdpSocket,
  "the reading end of a pipe": PipeReader,
  "the writing end of a pipe": PipeWriter,
};

const NO_PERL = lacks("perl to hand sockets over", () => {
  try {
    const args = ["-MSocket", "-MPOSIX", "-e", "1"];
    return new Deno.Command("perl", { args, stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
});

for (const [name, type] of Object.entries(CLASSES)) {
  cleanTest(`${type.name}.fromFd() throws, when it is no descriptor`, () => {
    for (const fd of [-1, 1.5, NaN, FD_MAX + 1]) {
      assertThrows(
        () => type.fromFd(fd),
        RangeError,
        `Cannot adopt descriptor "${fd}": it must be an integer from 0 to`,
      );
    }
    for (const fd of [NOT_OPEN, FD_MAX]) {
      assertThrows(
        () => type.fromFd(fd),
        Deno.errors.BadResource,
        `Cannot adopt descriptor ${fd}: it is not open`,
      );
    }
  });

  cleanTest(
    `${type.name}.fromFd() says what it is, when it is something else`,
    () => {
      using sockets = new SocketsOfAllKinds();
      for (const [found, fd] of Object.entries(sockets.descriptors)) {
        if (found === name) {
          // Its handle here owns it, and goes on doing so.
          assertThrows(
            () => type.fromFd(fd),
            Deno.errors.Busy,
            `Cannot adopt descriptor ${fd}`,
          );
        } else {
          assertThrows(
            () => type.fromFd(fd),
            TypeError,
            `Cannot adopt descriptor ${fd}: it is ${found}, not ${name}`,
          );
        }
      }
    },
    { ignore: NO_PROC },
  );

  cleanTest(
    `${type.name}.fromFd() refuses what is neither a socket nor a pipe, and other sockets`,
    () => {
      const [file, fileFd] = opening(() => Deno.openSync("/dev/null"));
      using _file = file;
      assertThrows(
        () => type.fromFd(fileFd),
        TypeError,
        `it is neither a socket nor a pipe, not ${name}`,
      );
      const [poll, pollFd] = opening(() => new Poll());
      using _poll = poll;
      assertThrows(() => type.fromFd(pollFd), TypeError);
    },
    { ignore: NO_PROC },
  );
}

cleanTest(
  "what is opened never blocks, and is closed in programs that are started",
  () => {
    using sockets = new SocketsOfAllKinds();
    for (const [name, fd] of Object.entries(sockets.descriptors)) {
      const flags = flagsOf(fd);
      assertEquals(flags & O_NONBLOCK, O_NONBLOCK, name);
      assertEquals(flags & O_CLOEXEC, O_CLOEXEC, name);
    }
  },
  { ignore: NO_PROC },
);

for (
  const [kind, said] of Object.entries({
    "tcp-listener": "hello",
    "tcp-stream": "hello",
    "unix-listener": "hello",
    "unix-stream": "hello",
    "udp": "5",
  })
) {
  Deno.test({
    name: `an inherited ${kind} works, when it is taken over by number`,
    ignore: NO_PERL,
    async fn() {
      const { stdout, stderr, code } = await adopting(kind, ["-A"]);
      const fds = kind.endsWith("-stream") ? 2 : 1;
      assertEquals({ stdout, stderr, code }, {
        stdout: `true ${fds}\n${said}\n`,
        stderr: "",
        code: 0,
      });
    },
  });
}

for (
  const [kind, asks] of Object.entries({
    "tcp-listener": 'Requires net access to "127.0.0.1:',
    "tcp-stream": 'Requires net access to "127.0.0.1:',
    "unix-listener": 'Requires read access to "',
    "udp": 'Requires net access to "127.0.0.1:',
  })
) {
  Deno.test({
    name:
      `an inherited ${kind} is refused, without the permission for its address`,
    ignore: NO_PERL,
    async fn() {
      const flags = ["--no-prompt", "--allow-env", libraryFlag()];
      const { stderr, code } = await adopting(kind, flags);
      assertEquals(code, 1);
      assertStringIncludes(stderr, `NotCapable: ${asks}`);
    },
  });
}

Deno.test({
  name: "an inherited stream without a name needs no permission",
  ignore: NO_PERL,
  async fn() {
    const flags = ["--no-prompt", "--allow-env", libraryFlag()];
    const { stdout, code } = await adopting("unix-stream", flags);
    assertEquals({ stdout, code }, { stdout: "true 2\nhello\n", code: 0 });
  },
});

Deno.test("standard input and output work, when they are taken over as pipes", async () => {
  await using script = new RunningScript("adopts_standard_streams.ts", {
    flags: ["--no-prompt", libraryFlag()],
  });
  for (const line of ["hello", "again"]) {
    await script.write(`${line}\n`);
    assertEquals(await script.line(), line);
  }
});

/** Runs `adopts.ts` with an inherited socket of a kind. */
async function adopting(kind: string, flags: readonly string[]) {
  using folder = new SocketFolder();
  const fixture = (name: string) =>
    fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
  return await runProgram([
    "perl",
    fixture("hands_over.pl"),
    kind,
    folder.path(),
    Deno.execPath(),
    "run",
    "--quiet",
    ...flags,
    fixture("adopts.ts"),
    kind,
  ]);
}

/** A socket of each kind, and what number the system has for it. */
class SocketsOfAllKinds implements Disposable {
  readonly descriptors: Record<keyof typeof CLASSES, number>;
  readonly #open = new DisposableStack();

  constructor() {
    const open = this.#open;
    const path = open.use(new SocketFolder()).path();
    const keep = <Opened extends Disposable>(
      make: () => Opened,
    ): [Opened, number] => {
      const [opened, fd] = opening(make);
      return [open.use(opened), fd];
    };
    const [listener, tcpListener] = keep(() => TcpListener.bind(LOOPBACK));
    open.use(TcpStream.connect(listener.localAddress));
    const [, tcpStream] = keep(() => acceptOne(listener));
    const [, unixListener] = keep(() => UnixListener.bind({ path }));
    const [, unixStream] = keep(() => UnixStream.connect({ path }));
    const [, udp] = keep(() => UdpSocket.bind(LOOPBACK));
    const before = descriptors();
    const { reader, writer } = pipe();
    open.use(reader);
    open.use(writer);
    const [pipeReader, pipeWriter] = since(before);
    this.descriptors = {
      "a TCP listener": tcpListener,
      "a TCP stream": tcpStream,
      "a Unix listener": unixListener,
      "a Unix stream": unixStream,
      "a UDP socket": udp,
      "the reading end of a pipe": pipeReader!,
      "the writing end of a pipe": pipeWriter!,
    };
  }

  [Symbol.dispose](): void {
    this.#open.dispose();
  }
}

function flagsOf(fd: number): number {
  const info = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
  return parseInt(/^flags:\s*(\d+)$/m.exec(info)![1]!, 8);
}

/** Opens something, and returns it with its descriptor. */
function opening<Opened>(open: () => Opened): [Opened, number] {
  const before = descriptors();
  const opened = open();
  return [opened, since(before)[0]!];
}

/** Returns what has been opened since, the least number first. */
function since(before: ReadonlySet<number>): number[] {
  return [...descriptors().difference(before)].sort((one, other) =>
    one - other
  );
}

/** Returns the numbers of what is open, but for that of the listing. */
function descriptors(): Set<number> {
  const isOpen = (fd: string) => {
    try {
      Deno.readLinkSync(`/proc/self/fd/${fd}`);
      return true;
    } catch {
      return false;
    }
  };
  return new Set(
    [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => name)
      .filter(isOpen).map(Number),
  );
}
