//! The command line.

use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;

use crate::content::Content;
use crate::websocket;

pub const HELP: &str = include_str!("help.txt");

/// The protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Http,
    Echo,
    Sse,
    Topic,
    Idle,
}

/// The body that an answer must have.
#[derive(Default)]
pub enum Expected {
    #[default]
    Anything,
    Content(Content),
    Echo,
}

/// The work of a run, as [`HELP`] explains it.
#[derive(Default)]
pub struct Options {
    pub mode: Mode,
    pub port: u16,
    pub connections: usize,
    pub idle: usize,
    pub time: Option<Duration>,
    pub requests: u64,
    pub interval: Option<Duration>,
    pub patience: Duration,
    pub session: bool,
    pub depth: u64,
    pub closes: bool,
    pub method: String,
    pub path: String,
    pub headers: Vec<String>,
    /// The first byte of the frame of each message, where messages go over WebSockets.
    pub frame: Option<u8>,
    /// The body of each request, or the echoed message.
    pub body: Option<Content>,
    pub expected: Expected,
}

/// Reads the command line; `None` when it asks for help.
pub fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        connections: 1,
        requests: u64::MAX,
        patience: Duration::from_secs(5),
        depth: 1,
        method: "GET".into(),
        path: "/".into(),
        ..Options::default()
    };
    let (mut mode, mut bytes) = (None, 64);
    let (mut websocket, mut is_text, mut deflates) = (false, false, false);
    let mut words = lexopt::Parser::from_env();
    while let Some(word) = words.next()? {
        match word {
            Value(word) if mode.is_none() => mode = Some(mode_of(&word.string()?)?),
            Long("help") | Short('h') => return Ok(None),
            Long("port") => options.port = number(&mut words)?,
            Long("connections") => options.connections = number(&mut words)?,
            Long("seconds") => options.time = Some(seconds(number(&mut words)?)?),
            Long("requests") => options.requests = number(&mut words)?,
            Long("patience-ms") => options.patience = Duration::from_millis(number(&mut words)?),
            Long("path") => options.path = words.value()?.string()?,
            Long("header") => options.headers.push(words.value()?.string()?),
            Long("method") => options.method = words.value()?.string()?,
            Long("body") => options.body = Some(Content::fixed(words.value()?.string()?)),
            Long("body-bytes") => options.body = Some(Content::counting(number(&mut words)?, true)),
            Long("expect") => {
                options.expected = Expected::Content(Content::fixed(words.value()?.string()?));
            }
            Long("expect-bytes") => {
                options.expected = Expected::Content(Content::counting(number(&mut words)?, false));
            }
            Long("expect-echo") => options.expected = Expected::Echo,
            Long("depth") => options.depth = number(&mut words)?,
            Long("interval-ms") => {
                options.interval = Some(seconds(number::<f64>(&mut words)? / 1e3)?);
            }
            Long("close") => options.closes = true,
            Long("session") => options.session = true,
            Long("idle") => options.idle = number(&mut words)?,
            Long("bytes") => bytes = number(&mut words)?,
            Long("websocket") => websocket = true,
            Long("text") => is_text = true,
            Long("deflate") => deflates = true,
            other => return Err(other.unexpected()),
        }
    }
    options.mode = mode.ok_or("Cannot do without a mode")?;
    if websocket || matches!(options.mode, Mode::Echo | Mode::Topic) {
        let mut message = Content::noise(bytes, is_text);
        if deflates || options.depth > 1 {
            message = Content::fixed(message.of(0));
        }
        if websocket || options.mode == Mode::Topic {
            over_websockets(&mut options, &message, (is_text, deflates))?;
            options.expected = Expected::Content(message);
        } else {
            (options.body, options.expected) = (Some(message), Expected::Echo);
        }
    }
    checked(options).map(Some)
}

/// Has messages framed, and masked or compressed in advance.
fn over_websockets(
    options: &mut Options,
    message: &Content,
    (is_text, deflates): (bool, bool),
) -> Result<(), lexopt::Error> {
    options.frame = Some(if is_text { websocket::TEXT } else { websocket::BINARY });
    options.headers.extend(websocket::ASKS.map(str::to_owned));
    options.body = Some(message.map(websocket::masked));
    if deflates {
        options.frame = options.frame.map(|first| first | websocket::COMPRESSED);
        options.headers.push(websocket::OFFERS.into());
        let deflated = websocket::deflated(message.of(0))?;
        options.body = Some(Content::fixed(websocket::masked(&deflated)));
    }
    Ok(())
}

fn checked(mut options: Options) -> Result<Options, lexopt::Error> {
    if options.port == 0 || options.depth == 0 || options.connections == 0 {
        return Err("Cannot do without --port, --depth or --connections above 0".into());
    }
    if options.closes && options.depth > 1 {
        return Err("Cannot use --close and --depth together".into());
    }
    if options.mode == Mode::Topic && options.depth > 1 {
        return Err("Cannot use --depth in mode topic".into());
    }
    if options.session {
        if options.mode != Mode::Echo || options.closes || options.requests != u64::MAX {
            return Err(
                "Cannot use --session but in mode echo, without --close or --requests".into()
            );
        }
    } else if options.mode == Mode::Idle {
        options.idle = options.connections;
        options.connections = 0;
    } else if options.time.is_none() && options.requests == u64::MAX {
        return Err("Cannot do without --seconds or --requests".into());
    }
    if options.time.is_some() {
        options.requests = u64::MAX;
    }
    Ok(options)
}

fn mode_of(word: &str) -> Result<Mode, lexopt::Error> {
    match word {
        "http" => Ok(Mode::Http),
        "echo" => Ok(Mode::Echo),
        "sse" => Ok(Mode::Sse),
        "topic" => Ok(Mode::Topic),
        "idle" => Ok(Mode::Idle),
        _ => {
            Err(format!("Cannot use mode {word:?}: there are http, echo, sse, topic, idle").into())
        }
    }
}

fn number<T: FromStr<Err: Into<Box<dyn std::error::Error + Send + Sync>>>>(
    words: &mut lexopt::Parser,
) -> Result<T, lexopt::Error> {
    words.value()?.parse()
}

/// Returns a time of so many seconds.
pub fn seconds(amount: f64) -> Result<Duration, lexopt::Error> {
    Duration::try_from_secs_f64(amount).map_err(|error| error.to_string().into())
}
