//! The `hubdns` command.

fn main() -> std::process::ExitCode {
    hubdns::cli::main()
}
