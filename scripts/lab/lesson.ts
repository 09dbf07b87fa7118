/**
 * The lesson: how servers wait. `deno task lab lesson` prints it, and the page
 * has it. Its figures stand in the table, so that the text is true everywhere.
 *
 * @module
 */

/** A part of the lesson. */
export interface Part {
  /** Its title. */
  readonly title: string;
  /** Its paragraphs. */
  readonly paragraphs: readonly string[];
}

/** Where the lesson's facts come from. */
export const SOURCES: readonly string[] = [
  "select(2), poll(2), epoll(7), epoll_wait(2), io_uring(7), listen(2), " +
  "socket(7), pthreads(7) and proc(5) of the Linux man-pages",
  "kqueue(2) of FreeBSD",
  "Dan Kegel, The C10K problem, http://www.kegel.com/c10k.html",
];

/** The whole of it: 1,500 words at the most. */
export const LESSON: readonly Part[] = [
  {
    title: "A server waits",
    paragraphs: [
      "A processor needs a few microseconds to take a message from a socket " +
      "and to send it back. The next message of that client comes after " +
      "milliseconds, or minutes. So a server spends its life waiting, and its " +
      "one question is: how does a program wait for thousands of clients at " +
      "once? All models of the lab do the same work. They differ in the " +
      "answer to this question alone.",
    ],
  },
  {
    title: "Blocking",
    paragraphs: [
      "The plain answer is to call read. When no byte is there, the kernel " +
      "takes the thread off the processor and wakes it when bytes have come. " +
      "A sleeping thread uses no processor time at all. But it sleeps for one " +
      "socket. A second client is not refused: the kernel completes its " +
      "connection, puts it into the queue of the listener and keeps what it " +
      "sends. Nobody reads it until the first client has left. Watch the " +
      "model “blocking” with two clients, and look at the column Recv-Q.",
    ],
  },
  {
    title: "A thread for each client",
    paragraphs: [
      "Each client gets a thread that may sleep. The code stays plain, and the " +
      "kernel's scheduler does the rest. What does it cost? Stacks of two or " +
      "eight megabytes are addresses, not memory: the kernel gives a page of " +
      "memory when the thread touches it. So a small thread takes a few " +
      "kilobytes, and beside them the kernel's own stack for it, 16 KiB on " +
      "x86-64. Each message costs a context switch, because " +
      "the thread went to sleep and another one has run. And there is an end: " +
      "a limit of threads for a user, a container or the machine. Threads " +
      "that share data also need locks.",
      "For a hundred clients, or for work that keeps a processor busy, this is " +
      "a good model. It is the right one where a call can do nothing but " +
      "block.",
    ],
  },
  {
    title: "Without blocking, in a loop",
    paragraphs: [
      "A socket can be told not to block (O_NONBLOCK). A read without bytes " +
      "then fails at once, with the error EAGAIN. One thread can now ask all " +
      "sockets in turn. But it asks while nothing happens, too: it uses a " +
      "whole core to hear “nothing yet”, and with n clients it makes n calls " +
      "to find the one that has sent something. What is missing is a call that " +
      "sleeps until any of many sockets is ready.",
    ],
  },
  {
    title: "select and poll",
    paragraphs: [
      "Such a call is select. The program hands it sets of descriptors; the " +
      "kernel looks at each, sleeps when none is ready, and marks those that " +
      "are. The program then goes through its own list to find the marks, and " +
      "hands over everything again for the next wait. So a wait costs as much " +
      "as there are clients, silent ones included: it is O(n).",
      "A set of select also has an end. It has bits for the descriptors below " +
      "FD_SETSIZE, which is 1,024; a larger number has no bit, and to set it " +
      "writes where it must not. The man page says that modern programs should use " +
      "poll or epoll instead. poll takes an array of any length, so its end is " +
      "that of the process's descriptors. But it looks at each element just " +
      "the same.",
    ],
  },
  {
    title: "epoll and kqueue",
    paragraphs: [
      "With epoll the list stays in the kernel. epoll_ctl adds a socket once. " +
      "When bytes arrive, the kernel puts that socket into a second list, of " +
      "those that are ready, and epoll_wait returns this list. A silent client " +
      "costs a wait nothing, whether there are ten or ten thousand. People " +
      "write O(1) for this; more exactly, the cost grows with the sockets " +
      "that are ready. When all clients are busy, epoll wins little. " +
      "kqueue, on macOS and FreeBSD, works the same way, and one call, kevent, " +
      "both registers and waits.",
      "epoll can report by level or by edge. By level, each wait reports a " +
      "socket as long as bytes are in it: a program may read some and come " +
      "back. By edge (EPOLLET), a wait reports that something has changed. A " +
      "program must then read until EAGAIN, from a socket that does not block: " +
      "bytes that it leaves behind may never be reported again, and the client " +
      "hangs. In return the kernel is told of a socket once, for reading and " +
      "writing, and never again. Watch both, and count the reads of a message.",
    ],
  },
  {
    title: "Time",
    paragraphs: [
      "Servers also wait for time: a client that is silent for too long must " +
      "go. The loop keeps deadlines in a heap, with the earliest on top. Each " +
      "turn runs those that are due, computes how long it is until the next " +
      "one, and hands this to the wait as its longest time: milliseconds for " +
      "epoll_wait and poll, a timespec for kevent. One thread so waits for " +
      "sockets and for time in one call. “lab watch timers” shows the number.",
    ],
  },
  {
    title: "Callbacks, fibers, async",
    paragraphs: [
      "A loop over epoll is written once. A reactor is that loop in a library: " +
      "it waits, reads, and calls the program with the bytes. A callback cannot " +
      "stop in its middle, so whatever a client's conversation needs to " +
      "remember lies in objects, and long conversations fall to pieces. With " +
      "await, a function stops at a read and keeps its variables; the loop " +
      "continues it when bytes have come. Fibers, tokio's tasks and Deno.listen " +
      "all look like the blocking model, and none of them blocks.",
      "The price is a rule. A thread is stopped by the kernel whenever others " +
      "should run; a task gives way only where it awaits. A function that " +
      "computes for a second, or makes a call that blocks, stops all clients of " +
      "its loop for a second.",
    ],
  },
  {
    title: "Completions",
    paragraphs: [
      "All these wait for readiness: the kernel says “now you may read”, and " +
      "then the program reads. That is two calls at least. With io_uring the " +
      "program says “read into this buffer”, and the kernel says “it is done”. " +
      "Orders and answers lie in two rings in memory that both can see. One " +
      "call, io_uring_enter, hands over many orders and waits for answers, so " +
      "the calls of a message become fewer the more messages there are at " +
      "once. A lone client gains little: each of its messages has to be waited " +
      "for by itself. In return a " +
      "buffer belongs to the kernel until its answer is there; a program must " +
      "neither free it nor look at it before.",
    ],
  },
  {
    title: "What JavaScript adds",
    paragraphs: [
      "JavaScript has one thread for one world of objects, the isolate. A " +
      "Worker is not a thread in the sense above: it is a second isolate, with " +
      "a heap, compiled code and a loop of its own. It takes megabytes and " +
      "milliseconds to start, and it shares no object. Messages are copied; " +
      "only a SharedArrayBuffer is seen by both. A Worker for each client is " +
      "out of the question. A Worker for each core is what Workers are for.",
      "Whatever blocks the thread blocks everything in its isolate. The models " +
      "with a loop written by hand sleep in the kernel inside of one call, so " +
      "no timer of Deno's and no promise of a fetch would go on in them. A " +
      "reactor therefore lets Deno's own loop run between its turns.",
      "And an awaited fiber is not free. Each await that waits makes promises, " +
      "a frame on the heap that keeps the variables, and a round of " +
      "microtasks, all of which the garbage collector takes away later. The " +
      "kernel's work is the same as with a callback; compare the columns user and kernel. " +
      "Most servers should pay this price, because their code can be read. " +
      "What is called a million times a second is better a callback.",
    ],
  },
  {
    title: "Look for yourself",
    paragraphs: [
      "Start a model with “lab serve”, then: htop shows processor time and " +
      "threads (press H); strace -f -p shows the calls, strace -c counts them; " +
      "ss -tn shows the sockets with their queues. “lab watch” has these three " +
      "beside one another. The figures of another machine or another load can " +
      "mislead you: run your own.",
    ],
  },
];

/** Returns the words of the lesson, for its length. */
export function lessonWords(): string[] {
  return LESSON.flatMap(({ title, paragraphs }) => [title, ...paragraphs])
    .concat(SOURCES).join(" ").split(/\s+/);
}

/** Returns the lesson as lines of a terminal. */
export function lessonLines(width: number): string[] {
  return [
    ...LESSON.flatMap(({ title, paragraphs }) => [
      title.toUpperCase(),
      ...paragraphs.flatMap((text) => [...wrapped(text, width), ""]),
    ]),
    "SOURCES",
    ...SOURCES.flatMap((text) => wrapped(text, width)),
  ];
}

function wrapped(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}
