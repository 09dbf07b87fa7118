#!/bin/sh
# Downloads Debian's Rust and unpacks it into a folder, all or nothing:
# `debian_rust.sh FOLDER`. Nothing is installed, which needs no root.
set -eu
folder=$1 apt=$1.apt unfinished=$1.new
rm -rf "$folder" "$apt" "$unfinished"
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$unfinished"

# apt's record of installed packages, as if no Rust were installed: the machine's
# own Rust must not be used.
awk 'BEGIN { RS = ""; ORS = "\n\n" } !/^Package: [^\n]*(rust|cargo)/' \
  /var/lib/dpkg/status >"$apt/status"

# All that apt writes lies in the folder: its locks are for the machine's own
# folders, and the user that it changes to may not be allowed to read this one.
get() {
  apt-get -qq -o Dir::State="$apt" -o Dir::State::status="$apt/status" \
    -o Dir::Cache="$apt" -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
    -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}
packages="rustc-web cargo-web rust-web-src rust-web-clippy"
download() {
  # shellcheck disable=SC2086 -- these are words
  get install --yes --no-install-recommends --download-only $packages "$@"
}
# The machine's lists may be old or none.
get update
download
# The runtimes of sanitizers, of the LLVM that this Rust is made with.
llvm=$(cd "$apt/archives" && ls | sed -n 's/^libllvm\([0-9]*\)_.*/\1/p')
download "libclang-rt-$llvm-dev"

for file in "$apt"/archives/*.deb; do
  case $file in
  # Only the library is needed: the rest is ten times as much.
  */rust-web-src_*)
    dpkg-deb --fsys-tarfile "$file" | tar --extract --directory "$unfinished" \
      --wildcards './usr/src/*/library' ./usr/lib/rustlib ;;
  *) dpkg-deb -x "$file" "$unfinished" ;;
  esac
done

# The runtimes go where rustc looks for them, under the names that it knows.
from=$unfinished/usr/lib/llvm-$llvm/lib/clang/$llvm/lib/linux
to=$unfinished/usr/lib/rustlib/$(uname -m)-unknown-linux-gnu/lib
for runtime in asan tsan; do
  cp "$from/libclang_rt.$runtime-$(uname -m).a" "$to/librustc-stable_rt.$runtime.a"
done
mv "$unfinished" "$folder"
rm -rf "$apt"
