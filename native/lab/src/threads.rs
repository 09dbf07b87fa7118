//! A thread a connection: each thread sleeps in its own `read`, and the kernel wakes the one whose
//! bytes have come. The code is as plain as for one client. Each client costs a thread: its stack,
//! the kernel's own stack of 16 KiB for it, and a context switch for each message.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    // --port N
    let port = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        // A stack of 2 MiB of addresses: memory only where the thread has touched it.
        if let Err(error) = thread::Builder::new().spawn(|| echo(stream)) {
            eprintln!("no thread for a client: {error}"); // Its connection is closed.
        }
    }
    Ok(())
}

/// Sends back what a client sends, until it ends its half.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer)?; // Sleeps, but this thread alone.
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}
