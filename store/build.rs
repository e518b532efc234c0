//! Makes cargo look for new migrations: the macro that embeds them sees only known files.
#![allow(clippy::print_stdout)]

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
