//! How a run is to go.

use std::net::SocketAddrV4;
use std::time::Duration;

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// After this time.
    Time(Duration),
    /// When so many requests were answered or failed.
    Requests(u64),
}

/// How a run is to go, whatever the protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The server.
    pub peer: SocketAddrV4,
    /// How many connections have requests.
    pub connections: usize,
    /// How many more are opened first, and held.
    pub idle: usize,
    /// How many requests leave in one write.
    pub depth: u64,
    /// When it is over.
    pub goal: Goal,
    /// How often each connection has a request; without it, whenever the last was answered.
    pub interval: Option<Duration>,
    /// Whether each request has a connection of its own.
    pub closes: bool,
    /// How long nothing may come while something must.
    pub patience: Duration,
}
