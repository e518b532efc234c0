//! `social-orchestrator`: hands over to the library.

/// Faster than the system's under many small allocations of several threads, and smaller (ADR 15).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // The allocator asks for pages of two megabytes, each of which counts as a whole from its first byte on: 24 MB more
    // for a server at rest, and no event the faster (ADR 15). Where they cannot be refused, there is only that.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    so_server::cli::main()
}
