//! tokio, for scale: async Rust. Each client is a task, which the compiler turns into a state
//! machine; `await` gives the thread to another task. A thread for each core runs the tasks, and
//! below them is epoll, or kqueue.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

fn main() -> io::Result<()> {
    // What #[tokio::main] writes: a runtime with a thread for each core.
    Runtime::new()?.block_on(serve())
}

async fn serve() -> io::Result<()> {
    // --port N
    let port = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo(stream));
    }
}

/// Sends back what a client sends, until it ends its half.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
