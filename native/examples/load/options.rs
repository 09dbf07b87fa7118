//! The command line.

use std::fmt::{self, Display, Formatter};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::plan::{Goal, Plan};

/// More would have no ports.
const CONNECTIONS_MAX: u64 = 60_000;
/// More would not fit into a server's buffers, and a batch lies in memory.
const DEPTH_MAX: u64 = 1024;
/// Larger bodies are nobody's.
const BODY_BYTES_MAX: u64 = 1 << 40;
/// A day: whoever wants more means less.
const SECONDS_MAX: f64 = 86_400.0;
const MS_PER_S: f64 = 1e3;
/// A clock has no less.
const INTERVAL_MS_MIN: f64 = 0.001;
const PATIENCE_MS: f64 = 5_000.0;
const MESSAGE_BYTES: u64 = 64;

/// A command line that cannot be meant, with the one line to show.
#[derive(Debug)]
pub struct UsageError(String);

impl Display for UsageError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; see --help", self.0)
    }
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Command {
    Help,
    Run(Box<Options>),
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Http,
    Echo,
    Sse,
    Idle,
}

impl Mode {
    const ALL: [(&'static str, Self); 4] =
        [("http", Self::Http), ("echo", Self::Echo), ("sse", Self::Sse), ("idle", Self::Idle)];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

/// What requests carry.
#[derive(Debug, PartialEq)]
pub enum Body {
    None,
    Text(String),
    Bytes(u64),
}

/// What answers must carry.
#[derive(Debug, PartialEq)]
pub enum Expected {
    Anything,
    Text(String),
    Bytes(u64),
    Echo,
}

/// A command line that can be meant.
#[derive(Debug, PartialEq)]
pub struct Options {
    pub mode: Mode,
    pub plan: Plan,
    pub method: String,
    pub path: String,
    /// Lines as they are sent, without their ends.
    pub headers: Vec<String>,
    pub body: Body,
    pub expected: Expected,
    pub content_type: Option<String>,
    /// The length of a message.
    pub bytes: u64,
}

/// Which modes an option is for.
const ALL: &[Mode] = &[Mode::Http, Mode::Echo, Mode::Sse, Mode::Idle];
const TIMED: &[Mode] = &[Mode::Http, Mode::Echo, Mode::Sse];
const ANSWERED: &[Mode] = &[Mode::Http, Mode::Echo];
const HEADED: &[Mode] = &[Mode::Http, Mode::Sse, Mode::Idle];
const BODIED: &[Mode] = &[Mode::Http, Mode::Idle];
const HTTP: &[Mode] = &[Mode::Http];
const ECHO: &[Mode] = &[Mode::Echo];

/// Each option, its modes, and whether a value follows it.
const OPTIONS: &[(&str, &[Mode], bool)] = &[
    ("--port", ALL, true),
    ("--connections", ALL, true),
    ("--patience-ms", ALL, true),
    ("--seconds", TIMED, true),
    ("--requests", TIMED, true),
    ("--interval-ms", ANSWERED, true),
    ("--path", HEADED, true),
    ("--header", HEADED, true),
    ("--expect-type", HEADED, true),
    ("--method", BODIED, true),
    ("--body", BODIED, true),
    ("--body-bytes", BODIED, true),
    ("--expect", BODIED, true),
    ("--expect-bytes", BODIED, true),
    ("--expect-echo", BODIED, false),
    ("--depth", HTTP, true),
    ("--close", HTTP, false),
    ("--idle", HTTP, true),
    ("--bytes", ECHO, true),
];

/// Groups of which one at the most can be meant.
const ALTERNATIVES: &[&[&str]] = &[
    &["--seconds", "--requests"],
    &["--body", "--body-bytes"],
    &["--expect", "--expect-bytes", "--expect-echo"],
];

/// Headers that say how long a message is, which is not for the caller to say.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// Reads a command line, without the program's name.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Command, UsageError> {
    let Some((mode, given)) = Given::read(words)? else { return Ok(Command::Help) };
    given.check(mode)?;
    let options = Options {
        mode,
        plan: plan(&given, mode)?,
        method: token(&given)?,
        path: path(&given)?,
        headers: headers(&given)?,
        body: match (given.value("--body"), given.count("--body-bytes", 0..=BODY_BYTES_MAX)?) {
            (Some(text), _) => Body::Text(text.into()),
            (None, Some(bytes)) => Body::Bytes(bytes),
            (None, None) => Body::None,
        },
        expected: expected(&given)?,
        content_type: given.value("--expect-type").map(str::to_owned),
        bytes: given.count("--bytes", 1..=BODY_BYTES_MAX)?.unwrap_or(MESSAGE_BYTES),
    };
    let plan = &options.plan;
    if plan.closes && (plan.depth > 1 || plan.idle > 0) {
        let other = if plan.depth > 1 { "--depth" } else { "--idle" };
        return Err(UsageError(format!("Cannot use --close and {other} together")));
    }
    if options.method == "HEAD" && options.expected != Expected::Anything {
        return Err(UsageError("Cannot expect a body of HEAD".into()));
    }
    Ok(Command::Run(Box::new(options)))
}

fn plan(given: &Given, mode: Mode) -> Result<Plan, UsageError> {
    let port = given.count("--port", 1..=u64::from(u16::MAX))?;
    let port = port.ok_or_else(|| UsageError("Cannot do without --port".into()))? as u16;
    let connections = given.count("--connections", 1..=CONNECTIONS_MAX)?.unwrap_or(1) as usize;
    let seconds = given.amount("--seconds", 0.0..=SECONDS_MAX)?;
    let goal = match (seconds, given.count("--requests", 1..=u64::MAX - 1)?) {
        (Some(seconds), _) => Goal::Time(Duration::from_secs_f64(seconds)),
        (None, Some(count)) => Goal::Requests(count),
        // It is held, not measured.
        (None, None) if mode == Mode::Idle => Goal::Time(Duration::ZERO),
        (None, None) => return Err(UsageError("Cannot do without --seconds or --requests".into())),
    };
    let of_ms = |ms: f64| Duration::from_secs_f64(ms / MS_PER_S);
    let time_ms = INTERVAL_MS_MIN..=SECONDS_MAX * MS_PER_S;
    let patience_ms = given.amount("--patience-ms", time_ms.clone())?.unwrap_or(PATIENCE_MS);
    let idle = given.count("--idle", 0..=CONNECTIONS_MAX)?.unwrap_or(0) as usize;
    let (connections, idle) =
        if mode == Mode::Idle { (0, connections) } else { (connections, idle) };
    Ok(Plan {
        peer: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
        connections,
        idle,
        depth: given.count("--depth", 1..=DEPTH_MAX)?.unwrap_or(1),
        goal,
        interval: given.amount("--interval-ms", time_ms)?.map(of_ms),
        closes: given.has("--close"),
        patience: of_ms(patience_ms),
    })
}

fn token(given: &Given) -> Result<String, UsageError> {
    let method = given.value("--method").unwrap_or("GET");
    let is_token = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    is_token.then(|| method.into()).ok_or_else(|| {
        UsageError(format!("Cannot use --method {method:?}: it must be letters as in \"POST\""))
    })
}

fn path(given: &Given) -> Result<String, UsageError> {
    let path = given.value("--path").unwrap_or("/");
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    is_path.then(|| path.into()).ok_or_else(|| {
        UsageError(format!("Cannot use --path {path:?}: it must be as in \"/a?b=c\""))
    })
}

fn headers(given: &Given) -> Result<Vec<String>, UsageError> {
    given
        .values("--header")
        .map(|line| {
            let name = line.split_once(':').map_or("", |(name, _)| name);
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_name || line.contains(['\r', '\n', '\0']) {
                return Err(UsageError(format!(
                    "Cannot use --header {line:?}: it must be as in \"a: b\""
                )));
            }
            if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
                return Err(UsageError(format!(
                    "Cannot use --header {line:?}: the body says that"
                )));
            }
            Ok(line.into())
        })
        .collect()
}

fn expected(given: &Given) -> Result<Expected, UsageError> {
    if given.has("--expect-echo") {
        return Ok(Expected::Echo);
    }
    let bytes = given.count("--expect-bytes", 0..=BODY_BYTES_MAX)?;
    let text = given.value("--expect").map(|text| Expected::Text(text.into()));
    Ok(text.or(bytes.map(Expected::Bytes)).unwrap_or(Expected::Anything))
}

/// The options of a command line, as they were given.
struct Given(Vec<(&'static str, String)>);

impl Given {
    /// Sorts words into a mode and options with their values; `None` when help is asked for.
    fn read(words: impl IntoIterator<Item = String>) -> Result<Option<(Mode, Self)>, UsageError> {
        let (mut words, mut mode, mut given) = (words.into_iter(), None, Vec::new());
        while let Some(word) = words.next() {
            if word == "--help" || word == "-h" {
                return Ok(None);
            }
            let found = Mode::ALL.iter().find(|(name, _)| *name == word);
            if let (Some((_, found)), None) = (found, mode) {
                mode = Some(*found);
                continue;
            }
            let (name, joined) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let option = OPTIONS.iter().find(|(known, ..)| *known == name);
            let (name, _, has_value) =
                *option.ok_or_else(|| UsageError(format!("Cannot read {word:?}")))?;
            let value = match (has_value, joined) {
                (true, None) => words.next(),
                (false, None) => Some(String::new()),
                (true, joined) => joined,
                (false, Some(_)) => return Err(UsageError(format!("Cannot give {name} a value"))),
            };
            let without = || UsageError(format!("Cannot use {name} without a value"));
            given.push((name, value.ok_or_else(without)?));
        }
        let mode = mode.ok_or_else(|| UsageError("Cannot do without a mode".into()))?;
        Ok(Some((mode, Self(given))))
    }

    /// Refuses what another mode understands, and what contradicts itself.
    fn check(&self, mode: Mode) -> Result<(), UsageError> {
        for (name, modes, _) in OPTIONS {
            if self.has(name) && !modes.contains(&mode) {
                return Err(UsageError(format!("Cannot use {name} in mode {}", mode.name())));
            }
        }
        for group in ALTERNATIVES {
            let mut both = group.iter().filter(|name| self.has(name));
            if let (Some(one), Some(other)) = (both.next(), both.next()) {
                return Err(UsageError(format!("Cannot use {one} and {other} together")));
            }
        }
        Ok(())
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn count(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, UsageError> {
        self.number(name, range, "a whole number")
    }

    fn amount(&self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, UsageError> {
        self.number(name, range, "a number")
    }

    fn number<T: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
        what: &str,
    ) -> Result<Option<T>, UsageError> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            UsageError(format!(
                "Cannot use {name} {text:?}: it must be {what} from {least} to {most}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn parsed(line: &str) -> Options {
        match parse(words(line)).unwrap() {
            Command::Run(options) => *options,
            Command::Help => panic!("help"),
        }
    }

    #[test]
    fn what_is_not_said_is_the_usual() {
        let options = parsed("--port 8000 http --seconds 1.5");
        let plan = Plan {
            peer: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8000),
            connections: 1,
            idle: 0,
            depth: 1,
            goal: Goal::Time(Duration::from_millis(1500)),
            interval: None,
            closes: false,
            patience: Duration::from_secs(5),
        };
        let wanted = Options {
            mode: Mode::Http,
            plan,
            method: "GET".into(),
            path: "/".into(),
            headers: Vec::new(),
            body: Body::None,
            expected: Expected::Anything,
            content_type: None,
            bytes: 64,
        };
        assert_eq!(options, wanted);
    }

    #[test]
    fn all_of_http_is_understood() {
        let options = parsed(
            "http --port=1 --requests=9 --connections 64 --depth 16 --method POST --path /a?b=c \
             --header a:b --header c:d --body-bytes 5 --expect-echo --expect-type text/plain \
             --interval-ms 0.5 --idle 7 --patience-ms 20",
        );
        let plan = options.plan;
        assert_eq!((plan.connections, plan.idle, plan.depth), (64, 7, 16));
        assert_eq!(plan.goal, Goal::Requests(9));
        assert_eq!(plan.interval, Some(Duration::from_micros(500)));
        assert_eq!(plan.patience, Duration::from_millis(20));
        assert_eq!((options.method.as_str(), options.path.as_str()), ("POST", "/a?b=c"));
        assert_eq!(options.headers, ["a:b", "c:d"]);
        assert_eq!((options.body, options.expected), (Body::Bytes(5), Expected::Echo));
        assert_eq!(options.content_type.as_deref(), Some("text/plain"));
    }

    #[test]
    fn bodies_may_be_text() {
        let line =
            ["--port", "1", "http", "--requests", "1", "--body", "a b", "--expect", "--close"];
        let Command::Run(options) = parse(line.map(str::to_owned)).unwrap() else { panic!("help") };
        assert_eq!(options.body, Body::Text("a b".into()));
        assert_eq!(options.expected, Expected::Text("--close".into()));
        assert!(!options.plan.closes, "it was a value");
    }

    #[test]
    fn idle_connections_are_those_without_requests() {
        let plan = parsed("--port 1 idle --connections 15000").plan;
        assert_eq!((plan.connections, plan.idle), (0, 15_000));
    }

    #[test]
    fn connections_of_one_request_have_a_depth_of_one() {
        let plan = parsed("--port 1 http --close --depth 1 --idle 0 --requests 1").plan;
        assert!(plan.closes);
        assert_eq!((plan.depth, plan.idle), (1, 0));
    }

    #[test]
    fn help_is_asked_for_anywhere() {
        assert_eq!(parse(words("http --help --nonsense")).unwrap(), Command::Help);
        assert_eq!(parse(words("-h")).unwrap(), Command::Help);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, wanted) in [
            ("", "Cannot do without a mode"),
            ("--port 1 https", "Cannot read \"https\""),
            ("--port 1 http echo", "Cannot read \"echo\""),
            ("--port 1 http --what", "Cannot read \"--what\""),
            ("http --seconds 1", "Cannot do without --port"),
            ("http --port", "Cannot use --port without a value"),
            ("--port 1 http", "Cannot do without --seconds or --requests"),
            ("--port 1 http --close=1", "Cannot give --close a value"),
            ("--port 1 http --bytes 1", "Cannot use --bytes in mode http"),
            ("--port 1 echo --depth 2", "Cannot use --depth in mode echo"),
            ("--port 1 sse --interval-ms 2", "Cannot use --interval-ms in mode sse"),
            ("--port 1 idle --seconds 2", "Cannot use --seconds in mode idle"),
            (
                "--port 1 http --seconds 1 --requests 1",
                "Cannot use --seconds and --requests together",
            ),
            (
                "--port 1 http --seconds 1 --close --idle 1",
                "Cannot use --close and --idle together",
            ),
            (
                "--port 1 http --seconds 1 --close --depth 2",
                "Cannot use --close and --depth together",
            ),
            (
                "--port 1 http --expect a --expect-echo",
                "Cannot use --expect and --expect-echo together",
            ),
            (
                "--port 65536 http --seconds 1",
                "Cannot use --port \"65536\": it must be a whole number from 1 to 65535",
            ),
            (
                "--port 1 http --seconds -1",
                "Cannot use --seconds \"-1\": it must be a number from 0 to 86400",
            ),
            (
                "--port 1 http --seconds NaN",
                "Cannot use --seconds \"NaN\": it must be a number from 0 to 86400",
            ),
            (
                "--port 1 http --requests 0.5",
                "Cannot use --requests \"0.5\": it must be a whole number from 1 to \
                 18446744073709551614",
            ),
            (
                "--port 1 http --requests 1 --method get",
                "Cannot use --method \"get\": it must be letters as in \"POST\"",
            ),
            (
                "--port 1 http --requests 1 --path x",
                "Cannot use --path \"x\": it must be as in \"/a?b=c\"",
            ),
            (
                "--port 1 http --requests 1 --header x",
                "Cannot use --header \"x\": it must be as in \"a: b\"",
            ),
            (
                "--port 1 http --requests 1 --header Content-Length:1",
                "Cannot use --header \"Content-Length:1\": the body says that",
            ),
            ("--port 1 http --requests 1 --method HEAD --expect x", "Cannot expect a body of HEAD"),
        ] {
            let error = parse(words(line)).unwrap_err().to_string();
            assert_eq!(error, format!("{wanted}; see --help"), "{line:?}");
        }
    }
}
