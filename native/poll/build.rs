//! Names for the groups of systems that the sources distinguish.

use cfg_aliases::cfg_aliases;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    cfg_aliases! {
        linux: { any(target_os = "linux", target_os = "android") },
        apple: { any(target_os = "macos", target_os = "ios") },
        bsd: {
            any(
                target_os = "freebsd",
                target_os = "netbsd",
                target_os = "openbsd",
                target_os = "dragonfly"
            )
        },
        // What waits. With epoll there are poll and select, too.
        epoll: { linux },
        kqueue: { any(apple, bsd) },
    }
}
