//! Links GCC's unwinder into the library, so that a machine without `libgcc_s`
//! can load it. Rust's standard library needs one for the backtrace of a panic,
//! and would otherwise take the shared one.

use std::env;
use std::path::Path;
use std::process::Command;

const UNWINDER: &str = "libgcc_eh.a";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |variable, value: &str| env::var(variable).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    // Another machine's compiler is not known here: its library stays shared.
    if env::var("HOST") != env::var("TARGET") {
        return;
    }
    let Ok(output) = Command::new("cc").arg(format!("-print-file-name={UNWINDER}")).output() else {
        return;
    };
    // A bare name means that there is none.
    let path = String::from_utf8_lossy(&output.stdout);
    let Some(folder) = Path::new(path.trim()).parent().filter(|folder| folder.is_absolute()) else {
        return;
    };
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib=static:+verbatim={UNWINDER}");
}
