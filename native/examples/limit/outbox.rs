//! The bytes that a connection has to send.
//!
//! The kernel reads bytes until a send is over: until then they stay where they are.

use crate::answers::{Heads, REPLY};

pub enum Outbox {
    /// Answers, which all lie in one block: only their number and the place in the first count.
    Canned { heads: Heads, owed: usize, sent: usize },
    /// Received bytes: those that lie in a buffer of the kernel's until the first send is over,
    /// the rest of them, and those behind.
    Echo { lent: Lent, sending: Vec<u8>, behind: Vec<u8> },
}

/// Bytes in a buffer that is not given back before the first send of them is over.
#[derive(Clone, Copy)]
pub struct Lent(*const [u8]);

impl Lent {
    const NONE: Self = Self(&[]);

    fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer is not given back yet.
        unsafe { &*self.0 }
    }
}

impl Outbox {
    pub fn new(echo: bool) -> Self {
        if echo {
            Self::Echo { lent: Lent::NONE, sending: Vec::new(), behind: Vec::new() }
        } else {
            Self::Canned { heads: Heads::default(), owed: 0, sent: 0 }
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::Canned { owed, .. } => *owed == 0,
            Self::Echo { lent, sending, behind } => {
                lent.0.is_empty() && sending.is_empty() && behind.is_empty()
            }
        }
    }

    /// Adds what received bytes are answered with. They stay in their place until the next send
    /// is over.
    pub fn answer(&mut self, received: &[u8]) {
        let is_first = self.is_empty();
        match self {
            Self::Canned { heads, owed, .. } => *owed += heads.count(received),
            Self::Echo { lent, .. } if is_first => *lent = Lent(received),
            Self::Echo { behind, .. } => behind.extend_from_slice(received),
        }
    }

    /// Returns the next bytes to send, of which there are some: at most a block of `replies`.
    pub fn next<'a>(&'a mut self, replies: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Canned { owed, sent, .. } => {
                let end = (*owed * REPLY.len()).min(replies.len());
                &replies[*sent..end]
            }
            Self::Echo { lent, sending, behind } => {
                if !lent.0.is_empty() {
                    return lent.bytes();
                }
                if sending.is_empty() {
                    std::mem::swap(sending, behind);
                }
                sending
            }
        }
    }

    /// Whether there are bytes behind those that `next` returned.
    pub fn has_more(&self, replies: &[u8]) -> bool {
        match self {
            Self::Canned { owed, .. } => *owed * REPLY.len() > replies.len(),
            Self::Echo { behind, .. } => !behind.is_empty(),
        }
    }

    /// Drops bytes that were sent, the first of those that `next` returned.
    pub fn sent(&mut self, count: usize) {
        match self {
            Self::Canned { owed, sent, .. } => {
                let total = *sent + count;
                *owed -= total / REPLY.len();
                *sent = total % REPLY.len();
            }
            Self::Echo { lent, sending, .. } if !lent.0.is_empty() => {
                sending.extend_from_slice(&lent.bytes()[count..]);
                *lent = Lent::NONE;
            }
            Self::Echo { sending, .. } => drop(sending.drain(..count)),
        }
    }
}
