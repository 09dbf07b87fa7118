//! Where a path leads, before it is opened.
//!
//! Deno permits a path as it is written, without following symbolic links. Then it follows
//! them, and refuses some places in `/dev`, `/proc` and `/sys`. Whoever opens the path must
//! open the place that was looked at: the written path may lead elsewhere by then.

use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Below these places, links are not followed: `/proc` has some that lead nowhere, or to a
/// place that depends on the process.
const UNFOLLOWED: [&str; 2] = ["/proc", "/dev"];

/// Makes a path absolute, and follows its symbolic links as far as it exists. `..` takes
/// away the part of the text before it, as in Deno, also where that part is a link.
///
/// # Errors
///
/// `ENOENT` for an empty path; the errors of `realpath(3)`, as `ELOOP`; those of
/// `getcwd(3)`.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    let path = normal(&std::env::current_dir()?.join(path));
    if UNFOLLOWED.iter().any(|place| path.starts_with(place)) {
        return Ok(path);
    }
    let mut missing: Vec<OsString> = Vec::new();
    let mut existing = path.as_path();
    loop {
        match existing.canonicalize() {
            Ok(found) => return Ok(missing.iter().rev().fold(found, |all, name| all.join(name))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (Some(name), Some(parent)) = (existing.file_name(), existing.parent()) else {
                    return Err(error);
                };
                missing.push(name.to_owned());
                existing = parent;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Takes `.` and `..` out of an absolute path.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            // Nothing is above the root.
            Component::ParentDir => drop(normal.pop()),
            component => normal.push(component),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "set-up")]

    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::resolve;

    /// A folder that is removed in the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("denio-path-{name}-{}", std::process::id());
            let path = std::env::temp_dir().canonicalize().unwrap().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn resolved(path: impl AsRef<Path>) -> PathBuf {
        resolve(path.as_ref()).unwrap()
    }

    #[test]
    fn links_are_followed_as_far_as_the_path_exists() {
        let folder = Folder::new("links");
        let at = |name: &str| folder.0.join(name);
        fs::create_dir(at("inner")).unwrap();
        fs::write(at("inner/file"), "").unwrap();
        symlink("inner", at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("/proc/self", at("process")).unwrap();
        assert_eq!(resolved(at("link/file")), at("inner/file"));
        assert_eq!(resolved(at("link/new/file")), at("inner/new/file"));
        assert_eq!(resolved(at("dangling")), at("dangling"));
        assert_eq!(resolved(at("dangling/x")), at("dangling/x"));
        assert_eq!(resolved(at("link/../inner/./file")), at("inner/file"));
        assert_eq!(
            resolved(at("process/maps")),
            Path::new(&format!("/proc/{}/maps", std::process::id()))
        );
    }

    #[test]
    fn dots_are_text() {
        assert_eq!(resolved("/no/../no/./x//y/"), Path::new("/no/x/y"));
        assert_eq!(resolved("/../.."), Path::new("/"));
        assert_eq!(resolved("/tmp/../proc/self/./fd/1"), Path::new("/proc/self/fd/1"));
        assert_eq!(resolved("/dev/fd/1"), Path::new("/dev/fd/1"));
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        assert_eq!(resolved("no-such-file"), here.join("no-such-file"));
        assert_eq!(resolved("."), here);
    }

    #[test]
    fn errors_but_a_missing_file_are_told() {
        let folder = Folder::new("errors");
        let at = |name: &str| folder.0.join(name);
        fs::write(at("file"), "").unwrap();
        symlink("around", at("around")).unwrap();
        let errno = |path: &Path| resolve(path).unwrap_err().raw_os_error();
        assert_eq!(errno(&at("around")), Some(libc::ELOOP));
        assert_eq!(errno(&at("file/x")), Some(libc::ENOTDIR));
        assert_eq!(errno(Path::new("")), Some(libc::ENOENT));
    }
}
