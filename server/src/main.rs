//! `social-orchestrator`: hands over to the library.

/// Faster than the system's under many small allocations of several threads, and smaller (ADR 15).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    so_server::cli::main()
}
