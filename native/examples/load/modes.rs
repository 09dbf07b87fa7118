//! From a command line to a run, and to the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::answer::HeadRules;
use crate::content::{Content, Pattern};
use crate::failure::Failure;
use crate::options::{self, Body, Command, Expected, Mode, Options};
use crate::protocol::{Echo, Http, Protocol, Sse, Wanted};
use crate::requests::Requests;
use crate::run::Run;
use crate::sys;

const HELP: &str = include_str!("help.txt");
const EXIT_FAILURE: u8 = 1;
const EXIT_USAGE: u8 = 2;

/// Does what the command line says.
pub fn main() -> ExitCode {
    // What is no text is refused as what it looks like.
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    match options::parse(words) {
        Ok(Command::Help) => ended(print(HELP.trim_end())),
        Ok(Command::Run(options)) => ended(run(&options)),
        Err(error) => {
            eprintln!("error: {error}");
            EXIT_USAGE.into()
        }
    }
}

fn ended(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            EXIT_FAILURE.into()
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let raised = sys::raise_descriptor_limit();
    raised.map_err(|error| Failure::of("raise the limit of descriptors", &error))?;
    match options.mode {
        Mode::Http => measure(http(options), options),
        Mode::Echo => measure(Echo::new(options.bytes), options),
        Mode::Sse => measure(sse(options), options),
        Mode::Idle => hold(options),
    }
}

fn measure<P: Protocol>(protocol: P, options: &Options) -> Result<(), Failure> {
    let mut run = Run::new(protocol, options.plan.clone())?;
    run.open()?;
    run.measure()?;
    print(&run.tally.json(options.plan.connections, run.seconds(), run.seconds_since()))
}

fn hold(options: &Options) -> Result<(), Failure> {
    let mut run = Run::new(http(options), options.plan.clone())?;
    run.open()?;
    print("ready")?;
    run.hold()?;
    match run.tally.first_failure() {
        None => Ok(()),
        Some(first) => {
            let (failures, all) = (run.tally.failures, options.plan.idle);
            Err(Failure::new(format!("{failures} of {all} connections failed: {first}")))
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    let printed = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    printed.map_err(|error| Failure::of("print", &error))
}

fn http(options: &Options) -> Http {
    let wanted = match &options.expected {
        Expected::Anything => Wanted::Anything,
        Expected::Text(text) => Wanted::Content(Content::Text(text.clone().into_bytes())),
        Expected::Bytes(bytes) => Wanted::Content(counting(*bytes, false)),
        Expected::Echo => Wanted::Echo,
    };
    Http::new(requests(options), wanted, rules(options))
}

fn sse(options: &Options) -> Sse {
    let mut rules = rules(options);
    // A stream may go on to the end of its connection, which must not come.
    rules.may_close = true;
    Sse::new(requests(options), rules)
}

fn rules(options: &Options) -> HeadRules {
    let has_body = options.method != "HEAD";
    HeadRules::new(options.content_type.clone(), has_body, options.plan.closes)
}

fn requests(options: &Options) -> Requests {
    let content = match &options.body {
        Body::None => Content::Text(Vec::new()),
        Body::Text(text) => Content::Text(text.clone().into_bytes()),
        Body::Bytes(bytes) => counting(*bytes, true),
    };
    Requests::new(head(options, content.bytes()).into_bytes(), content, options.plan.depth)
}

fn counting(bytes: u64, shifts: bool) -> Content {
    Content::Pattern { bytes, pattern: Pattern::counting(), shifts }
}

fn head(options: &Options, body_bytes: u64) -> String {
    let Options { method, path, headers, plan, body, .. } = options;
    let has_host = headers.iter().any(|line| {
        line.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case("host"))
    });
    let mut lines = vec![format!("{method} {path} HTTP/1.1")];
    if !has_host {
        lines.push(format!("Host: {}", plan.peer));
    }
    lines.extend_from_slice(headers);
    if *body != Body::None {
        lines.push(format!("Content-Length: {body_bytes}"));
    }
    if plan.closes {
        lines.push("Connection: close".into());
    }
    lines.join("\r\n") + "\r\n\r\n"
}
