//! Blocking, one client at a time: the thread sleeps in `read` until this client's bytes come, so
//! no other client is served until this one has left. The kernel keeps the others in its queue:
//! they are connected, and wait.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    // --port N
    let port = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        // An error ends this client alone: it has reset the connection.
        let _ = echo(stream?);
    }
    Ok(())
}

/// Sends back what a client sends, until it ends its half.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer)?; // Sleeps until bytes come.
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?; // Sleeps until there is room.
    }
}
