/** Files of a proactor: options, positions, buffers, errors, closing. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { AsyncProactor } from "../../src/proactor/async_proactor.ts";
import { NO_PROACTOR } from "../util/machine.ts";
import { libraryFlag, runScript } from "../util/scripts.ts";
import { bytesOf, proactorTest, textOf, withFile } from "../util/proactors.ts";

const BIG_BYTES = 1_000_000;

/** Reads a file to its end, from its own position. */
async function readAll(
  proactor: AsyncProactor,
  path: string | URL,
): Promise<string> {
  await using file = await proactor.open(path);
  const buffer = new Uint8Array(7);
  let text = "";
  for (let count; (count = await file.read(buffer)) !== null;) {
    text += textOf(buffer.subarray(0, count));
  }
  return text;
}

proactorTest(
  "a file is read to its end, by path, URL and link",
  (proactor) =>
    withFile("some bytes of a file", async (path) => {
      const link = `${path}.link`;
      await Deno.symlink(path, link);
      for (const name of [path, new URL(`file://${path}`), link]) {
        assertEquals(await readAll(proactor, name), "some bytes of a file");
      }
      await Deno.remove(link);
    }),
);

proactorTest(
  "a file is written at positions, at its own, and at its end",
  (proactor) =>
    withFile("0123456789", async (path) => {
      {
        await using file = await proactor.open(path, {
          read: true,
          write: true,
        });
        assertEquals(await file.write(bytesOf("ab"), { at: 4 }), 2);
        await Promise.all([
          file.write(bytesOf("x")),
          file.write(bytesOf("yz")),
        ]);
        await file.sync();
        await file.syncData();
        assertEquals((await file.stat()).size, 10);
      }
      {
        await using file = await proactor.open(path, { append: true });
        await file.write(bytesOf("end"));
      }
      assertEquals(await Deno.readTextFile(path), "xyz3ab6789end");
    }),
);

proactorTest(
  "write() writes all of many bytes, read() reads a part",
  (proactor) =>
    withFile("", async (path) => {
      const bytes = new Uint8Array(BIG_BYTES).map((_, index) => index % 253);
      await using file = await proactor.open(path, { read: true, write: true });
      assertEquals(await file.write(bytes, { at: 3 }), BIG_BYTES);
      const found = await Deno.readFile(path);
      assert(bytes.every((byte, index) => found[index + 3] === byte));
      const buffer = new Uint8Array(BIG_BYTES);
      assertEquals(await file.read(buffer, { at: 3 }), 256 * 1024);
      assert(
        buffer.subarray(0, 256 * 1024).every((byte, i) => byte === bytes[i]),
      );
    }),
);

proactorTest(
  "open() has the options of Deno.open",
  (proactor) =>
    withFile("before", async (path) => {
      const open = (name: string, options: Deno.OpenOptions) =>
        proactor.open(name, options).then((file) => file.close());
      const made = `${path}.new`;
      await assertRejects(
        () => open(made, { write: true }),
        Deno.errors.NotFound,
        made,
      );
      await open(made, { write: true, createNew: true, mode: 0o640 });
      assertEquals(
        (await Deno.stat(made)).mode! & 0o777,
        0o640 & ~Deno.umask(),
      );
      await assertRejects(
        () => open(made, { write: true, createNew: true }),
        Deno.errors.AlreadyExists,
      );
      await Deno.remove(made);
      await open(made, { append: true, create: true });
      await open(path, { write: true, create: true });
      assertEquals(await Deno.readTextFile(path), "before");
      await open(path, { write: true, truncate: true });
      assertEquals(await Deno.readTextFile(path), "");
      await Deno.remove(made);
    }),
);

proactorTest(
  "open() refuses options that Deno.open refuses",
  (proactor) =>
    withFile("kept", async (path) => {
      const wrong: Deno.OpenOptions[] = [
        { mode: 5 },
        { read: false },
        { truncate: true },
        { create: true },
        { read: true, create: true },
        { read: true, createNew: true },
        { read: true, truncate: true },
        { append: true, truncate: true, write: true },
      ];
      for (const options of wrong) {
        await assertRejects(() => Deno.open(path, options), Error);
        const opening = () => proactor.open(path, options);
        await assertRejects(opening, TypeError, "", JSON.stringify(options));
      }
      for (const mode of [-1, 0.5, 0o10000, NaN]) {
        await assertRejects(
          () => proactor.open(path, { write: true, mode }),
          RangeError,
          String(mode),
        );
      }
      assertEquals(await Deno.readTextFile(path), "kept");
    }),
);

proactorTest(
  "errors have the classes of Deno's",
  (proactor) =>
    withFile("text", async (path) => {
      const folder = await Deno.makeTempDir();
      await Deno.symlink("nowhere", `${folder}/dangling`);
      await Deno.symlink("around", `${folder}/around`);
      const cases: [string, Deno.OpenOptions][] = [
        [`${path}.missing`, { read: true }],
        [`${path}/below`, { read: true }],
        [folder, { write: true }],
        [`${folder}/dangling`, { read: true }],
        [`${folder}/around`, { read: true }],
      ];
      for (const [name, options] of cases) {
        const [expected] = await Promise.allSettled([Deno.open(name, options)]);
        assert(expected!.status === "rejected");
        await assertRejects(
          () => proactor.open(name, options),
          expected.reason.constructor,
          name,
        );
      }
      await assertRejects(
        () => proactor.stat(`${path}.missing`),
        Deno.errors.NotFound,
        `stat "${path}.missing"`,
      );
      await Deno.remove(folder, { recursive: true });
    }),
);

proactorTest(
  "stat() says what Deno.stat says",
  (proactor) =>
    withFile("text", async (path) => {
      for (const name of [path, "/", "/dev/null"]) {
        // Deno leaves out the fraction of a second of `ctime`.
        const { ctime, ...found } = await proactor.stat(name);
        const { ctime: seconds, ...expected } = await Deno.stat(name);
        assertEquals(found, expected);
        const ms = ctime!.getTime();
        assertEquals(Math.floor(ms / 1_000), seconds!.getTime() / 1_000);
      }
      await using file = await proactor.open(path);
      assertEquals((await file.stat()).ino, (await Deno.stat(path)).ino);
    }),
);

proactorTest(
  "positions go up to 2 ** 53 - 1",
  (proactor) =>
    withFile("0123", async (path) => {
      await using file = await proactor.open(path, { read: true, write: true });
      const buffer = new Uint8Array(8);
      const at = 2 ** 32 + 5;
      assertEquals(await file.write(bytesOf("far"), { at }), 3);
      assertEquals(await file.read(buffer, { at: at + 1 }), 2);
      assertEquals(textOf(buffer.subarray(0, 2)), "ar");
      assertEquals(await file.read(buffer, { at: 2 ** 53 - 1 }), null);
      for (const wrong of [-1, -0.5, 0.5, 2 ** 53, NaN, Infinity, 1n]) {
        const options = { at: wrong as number };
        await assertRejects(
          () => file.read(buffer, options),
          RangeError,
          "position",
        );
        const bytes = bytesOf("x");
        await assertRejects(
          () => file.write(bytes, options),
          RangeError,
          "position",
        );
      }
      // Beyond what any file system holds.
      await assertRejects(() => file.write(bytesOf("x"), { at: 2 ** 53 - 1 }));
      assertEquals(await file.read(buffer, { at: 0 }), 8);
    }),
);

proactorTest(
  "a buffer that is transferred during a read rejects",
  (proactor) =>
    withFile("0123456789", async (path) => {
      await using file = await proactor.open(path);
      for (const at of [0, undefined]) {
        const buffer = new Uint8Array(4);
        const reading = file.read(buffer, { at });
        structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
        await assertRejects(() => reading, TypeError, "transferred");
        await assertRejects(() => file.read(buffer), TypeError, "transferred");
      }
      const resizable = new ArrayBuffer(8, { maxByteLength: 8 });
      const reading = file.read(new Uint8Array(resizable), { at: 0 });
      resizable.resize(2);
      await assertRejects(() => reading, TypeError, "smaller");
      // The file's own position has moved on: the next read has the bytes.
      const rest = new Uint8Array(3);
      assertEquals(await file.read(rest), 3);
      assertEquals(textOf(rest), "012");
      assertEquals(await file.read(rest), 1);
      assertEquals(await file.read(rest), 3);
      assertEquals(textOf(rest), "456");
    }),
);

proactorTest(
  "shared memory and other things are no buffers",
  (proactor) =>
    withFile("text", async (path) => {
      await using file = await proactor.open(path, { read: true, write: true });
      const shared = new Uint8Array(new SharedArrayBuffer(4));
      const wrong = [
        shared,
        new ArrayBuffer(4),
        new DataView(new ArrayBuffer(4)),
      ];
      for (const buffer of [...wrong, "text", undefined]) {
        for (const at of [0, undefined]) {
          const bytes = buffer as Uint8Array;
          await assertRejects(() => file.read(bytes, { at }), TypeError);
          await assertRejects(() => file.write(bytes, { at }), TypeError);
        }
      }
      assertEquals(await file.read(new Uint8Array(0)), 0);
      assertEquals(await file.write(new Uint8Array(0)), 0);
      assertEquals(await Deno.readTextFile(path), "text");
    }),
);

proactorTest(
  "bytes to write may change, once write() has returned",
  (proactor) =>
    withFile("", async (path) => {
      await using file = await proactor.open(path, { write: true });
      const bytes = bytesOf("first");
      const writing = file.write(bytes);
      bytes.fill(0);
      await writing;
      assertEquals(await Deno.readTextFile(path), "first");
    }),
);

proactorTest(
  "closing a file ends what is in flight on it",
  async (proactor) => {
    const folder = await Deno.makeTempDir();
    const fifo = `${folder}/fifo`;
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    const ends = { read: true, write: true };
    for (
      const close of ["close", Symbol.dispose, Symbol.asyncDispose] as const
    ) {
      const file = await proactor.open(fifo, ends);
      const reading = file.read(new Uint8Array(1));
      await proactor.nop();
      const closing = file[close]();
      await assertRejects(() => reading, Deno.errors.Interrupted);
      await closing;
      assertEquals(file.handle, 0);
      const BadResource = Deno.errors.BadResource;
      await assertRejects(() => file.read(new Uint8Array(1)), BadResource);
      await assertRejects(() => file.close(), BadResource);
      file[Symbol.dispose]();
      await file[Symbol.asyncDispose]();
    }
    await Deno.remove(folder, { recursive: true });
  },
);

proactorTest(
  "two reads at a file's own position are refused",
  async (proactor) => {
    const folder = await Deno.makeTempDir();
    const fifo = `${folder}/fifo`;
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    await using file = await proactor.open(fifo, { read: true, write: true });
    const first = file.read(new Uint8Array(1));
    const second = () => file.read(new Uint8Array(1));
    await assertRejects(second, Deno.errors.Busy, "read");
    await file.write(bytesOf("x"));
    assertEquals(await first, 1);
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test({
  name: "files outside of --allow-read stay closed, by links and promises too",
  ignore: NO_PROACTOR,
  async fn() {
    const folder = await Deno.realPath(await Deno.makeTempDir());
    await Deno.writeTextFile(`${folder}/file`, "text");
    await Deno.symlink("/proc/self/maps", `${folder}/maps`);
    await Deno.symlink("file", `${folder}/link`);
    const { stdout, stderr } = await runScript("opens_paths.ts", {
      flags: ["--no-prompt", libraryFlag(), `--allow-read=${folder}`],
      args: ["file", "link", "maps", "../", "missing"].map((name) =>
        `${folder}/${name}`
      ),
    });
    await Deno.remove(folder, { recursive: true });
    assertEquals(
      stdout,
      "text\ntext\nNotCapable\nNotCapable\nNotFound\n",
      stderr,
    );
  },
});
