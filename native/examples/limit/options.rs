//! The command line.

use std::io;

#[derive(Default)]
pub struct Options {
    pub port: u16,
    pub echo: bool,
    pub ring: bool,
    pub probe: bool,
    /// How many buffers the ring has, a power of two.
    pub buffers: Option<u16>,
}

impl Options {
    pub fn parse(mut words: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--echo" => options.echo = true,
                "--ring" => options.ring = true,
                "--probe" => options.probe = true,
                "--port" => options.port = number(words.next())?,
                "--buffers" => options.buffers = Some(number(words.next())?),
                _ => return Err(usage(&word)),
            }
        }
        Ok(options)
    }
}

fn number(word: Option<String>) -> io::Result<u16> {
    let word = word.unwrap_or_default();
    word.parse().map_err(|_| usage(&word))
}

fn usage(word: &str) -> io::Error {
    io::Error::other(format!(
        "Cannot read {word:?}: the options are --ring, --port N, --echo, --buffers N and --probe"
    ))
}
