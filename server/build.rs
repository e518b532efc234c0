//! Has the page's files read again when they change.

fn main() {
    // Made if it is missing: cargo would otherwise take every build for a changed one.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/dist");
    if !folder.exists() && std::fs::create_dir_all(&folder).is_ok() {
        // And for as long as it is younger than the build that made it.
        let _ = std::fs::File::open(&folder)
            .and_then(|made| made.set_modified(std::time::SystemTime::UNIX_EPOCH));
    }
    // The protocol with cargo is what a build script prints.
    let _ = std::io::Write::write_all(
        &mut std::io::stdout(),
        b"cargo::rerun-if-changed=../ui/dist\n",
    );
}
