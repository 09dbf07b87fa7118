//! The command line.

use std::io;

#[derive(Default)]
pub struct Options {
    pub port: u16,
    pub echo: bool,
    pub ring: bool,
    pub probe: bool,
}

impl Options {
    pub fn parse(mut words: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--echo" => options.echo = true,
                "--ring" => options.ring = true,
                "--probe" => options.probe = true,
                "--port" => {
                    let port = words.next().unwrap_or_default();
                    options.port = port.parse().map_err(|_| usage(&port))?;
                }
                _ => return Err(usage(&word)),
            }
        }
        Ok(options)
    }
}

fn usage(word: &str) -> io::Error {
    io::Error::other(format!(
        "Cannot read {word:?}: the options are --ring, --port N, --echo and --probe"
    ))
}
