//! The caller's own number for a source, carried back in each [`crate::Event`].

/// An opaque number that the caller chooses at registration.
///
/// Thirty-two bits, so that JavaScript holds every value without loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Token(pub u32);
