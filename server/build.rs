//! Has the page's files read again when they change.

fn main() {
    // Made if it is missing: cargo would otherwise take every build for a changed one.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/dist");
    let _ = std::fs::create_dir_all(&folder);
    // The protocol with cargo is what a build script prints.
    let _ = std::io::Write::write_all(
        &mut std::io::stdout(),
        b"cargo::rerun-if-changed=../ui/dist\n",
    );
}
