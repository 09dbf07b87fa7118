//! The wait for all connections, by the system's best call.

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(not(target_os = "linux"))]
mod kqueue;

#[cfg(target_os = "linux")]
pub use epoll::Selector;
#[cfg(not(target_os = "linux"))]
pub use kqueue::Selector;
