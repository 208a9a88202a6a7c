//! The `hubdns` command.

/// Gives back what a compilation or a burst took, and costs a miss less than the C library's:
/// docs/PERFORMANCE.md. `.cargo/config.toml` has its settings.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    hubdns::cli::main()
}
