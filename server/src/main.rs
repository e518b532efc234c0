//! `social-orchestrator`: hands over to the library.

fn main() -> std::process::ExitCode {
    so_server::cli::main()
}
