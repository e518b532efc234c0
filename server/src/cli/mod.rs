//! The command line.
//!
//! Owns arguments, what is printed and exit codes. Invariant: standard output holds what was asked for and
//! nothing else; log lines and errors go to standard error.

mod backup;
mod copy;
mod data;
mod dry_run;
mod instance;
mod prune;
mod repl;
mod restore;
mod rotate;
mod rules;
mod runs;
mod serve;
mod user;
mod why;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::config::{self, Flags, Loaded, LogFormat};

/// Schedules and publishes to social networks by rules.
#[derive(Debug, Parser)]
#[command(name = "social-orchestrator", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// Configuration file; without it social-orchestrator.toml in the data folder counts.
    #[arg(long, global = true, value_name = "FILE", env = "SO_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of the database, uploads and the key file.
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// sqlite:PATH or postgres://user@host/database.
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve {
        /// Address and port; port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<String>,
        /// The address people use.
        #[arg(long, value_name = "URL")]
        public_url: Option<String>,
        /// Confirms an instance that is held, as its owner may in the page.
        #[arg(long)]
        resume: bool,
    },
    /// Brings the database's schema up to date and ends.
    Migrate,
    /// Looks at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Copies database and uploads into a new folder while the server runs.
    Backup {
        /// Folder to make.
        destination: PathBuf,
    },
    /// Puts a backup into the data folder of a stopped server.
    Restore {
        /// Folder that `backup` made.
        source: PathBuf,
        /// Replaces what the data folder holds; the key file stays.
        #[arg(long)]
        force: bool,
        /// Says that the server the backup was made of will not run again.
        #[arg(long)]
        take_over: bool,
    },
    /// Looks at the server's identity: whether it is held, and what its database may have forgotten.
    Instance {
        #[command(subcommand)]
        command: InstanceCommand,
    },
    /// Manages people.
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Prints the OpenAPI document.
    Openapi,
    /// Works on rule documents.
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Tells what a rule in the data folder of a stopped server would do, without doing it.
    DryRun(dry_run::Trial),
    /// Re-drives, re-runs, tries and compares runs in the data folder of a stopped server.
    Runs {
        #[command(subcommand)]
        command: runs::RunsCommand,
    },
    /// Asks the data folder of a stopped server why a rule did or did not start.
    Why(why::Question),
    /// Removes history beyond its time now, from the data folder of a stopped server.
    Prune {
        /// Also gives free space of a SQLite file back; needs as much again for a moment.
        #[arg(long)]
        compact: bool,
    },
    /// Manages the keys that seal secrets.
    Secrets {
        #[command(subcommand)]
        command: SecretsCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Prints every value and where it came from; secrets are not shown.
    Check,
}

#[derive(Debug, Subcommand)]
enum InstanceCommand {
    /// Prints whether it is held, and the gaps that still count.
    Status,
    /// Lets a held server work: no other one works with a copy of its database.
    Confirm,
    /// Says that the database was put back to an earlier state, as by pg_restore.
    Restored,
    /// Ends every gap: nothing is looked for any more before it is sent.
    Settled,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Makes a person with a workspace of their own.
    Create {
        /// E-mail address.
        #[arg(long)]
        email: String,
        /// Name shown.
        #[arg(long)]
        name: String,
        /// Time zone of the workspace.
        #[arg(long, default_value = "UTC")]
        time_zone: String,
        /// Reads the password from standard input; without it one is made and printed.
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Checks documents (YAML, or JSON by the extension .json) and tells every mistake by its place.
    Validate {
        /// Documents; those given together are checked as the rules of one workspace.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    #[command(flatten)]
    Folder(rules::FolderCommand),
    /// Tries expressions and scripts on a sample event, line by line.
    Repl {
        /// The kind of trigger whose sample is the event.
        #[arg(long, default_value = "manual")]
        trigger: String,
        /// A file with an event as JSON, instead of a sample.
        #[arg(long, value_name = "FILE")]
        event: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// Makes a new master key and seals every secret under it.
    Rotate,
}

/// Runs the command of this process' arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Rules {
        command: RulesCommand::Folder(command),
    } = &cli.command
    {
        return rules::folder_command(command);
    }
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    if matches!(cli.command, Command::Openapi) {
        let document = crate::http::openapi::document(&crate::http::v1::endpoints());
        return print(&format!("{document:#}\n"));
    }
    if let Command::Rules { command } = &cli.command {
        return match command {
            RulesCommand::Validate { files } => rules::validate(files),
            // Ended before, with an exit code of its own.
            RulesCommand::Folder(_) => Ok(()),
            RulesCommand::Repl { trigger, event } => repl::run(trigger, event.as_deref()),
        };
    }
    let loaded = config::load(
        cli.common.config.as_deref(),
        utf8_environment(),
        flags(&cli),
    )?;
    init_log(&loaded)?;
    // Whatever is made from here on (database, its log, uploads, backups) is for this user alone, also in a
    // folder that others may look into. Nothing else runs yet that could make files meanwhile.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let runtime = tokio::runtime::Runtime::new().context("could not start the runtime")?;
    runtime.block_on(dispatch(cli.command, loaded))
}

async fn dispatch(command: Command, loaded: Loaded) -> anyhow::Result<()> {
    match command {
        Command::Serve { resume, .. } => serve::run(loaded.config, resume).await,
        Command::Migrate => data::migrate(&loaded.config).await,
        Command::Config {
            command: ConfigCommand::Check,
        } => print(&config::show(&loaded)),
        Command::Backup { destination } => backup::run(&loaded.config, &destination).await,
        Command::Restore {
            source,
            force,
            take_over,
        } => {
            let said = restore::Said { force, take_over };
            restore::run(&loaded.config, &source, said).await
        }
        Command::Instance { command } => instance::run(loaded.config, &command).await,
        Command::User {
            command:
                UserCommand::Create {
                    email,
                    name,
                    time_zone,
                    password_stdin,
                },
        } => {
            user::create(
                loaded.config,
                user::NewPerson {
                    email,
                    name,
                    time_zone,
                    password_stdin,
                },
            )
            .await
        }
        Command::DryRun(trial) => dry_run::run(loaded.config, trial).await,
        Command::Runs { command } => runs::run(loaded.config, command).await,
        Command::Prune { compact } => prune::run(loaded.config, compact).await,
        Command::Why(question) => why::run(loaded.config, question).await,
        Command::Secrets {
            command: SecretsCommand::Rotate,
        } => rotate::run(&loaded.config).await,
        // Handled before the configuration is read, which they do not need.
        Command::Openapi | Command::Rules { .. } => Ok(()),
    }
}

fn flags(cli: &Cli) -> Flags {
    let text = |path: &Path| path.display().to_string();
    let mut flags = vec![
        ("server.data_dir", cli.common.data_dir.as_deref().map(text)),
        ("database.url", cli.common.database_url.clone()),
    ];
    if let Command::Serve {
        listen, public_url, ..
    } = &cli.command
    {
        flags.push(("server.listen", listen.clone()));
        flags.push(("server.public_url", public_url.clone()));
    }
    flags
        .into_iter()
        .filter_map(|(path, value)| Some((path, value?)))
        .collect()
}

// A variable that is no text is none of ours.
fn utf8_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn init_log(loaded: &Loaded) -> anyhow::Result<()> {
    let server = &loaded.config.server;
    let filter = tracing_subscriber::EnvFilter::try_new(&server.log_filter)
        .context("server.log_filter is wrong")?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match server.log_format {
        LogFormat::Text => log
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
        LogFormat::Json => log.json().try_init(),
    }
    .map_err(|error| anyhow::anyhow!("could not start the log: {error}"))
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("could not write to standard output")
}

// The same sentences that the page shows, in one line.
fn told(failure: crate::app::failure::Failure) -> anyhow::Error {
    let problem = failure.problem;
    let fields: Vec<String> = problem
        .errors
        .iter()
        .map(|error| format!("{} {}", error.pointer.trim_start_matches('/'), error.reason))
        .collect();
    let detail = if fields.is_empty() {
        problem.next_step
    } else {
        fields.join("; ")
    };
    anyhow::anyhow!("{}: {detail}", problem.title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_settings_by_another_name() {
        let cli = Cli::parse_from([
            "so",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            "d",
            "--public-url",
            "https://a.example",
        ]);
        let mut found = flags(&cli);
        found.sort();
        let paths: Vec<_> = found.iter().map(|(path, _)| *path).collect();
        assert_eq!(
            paths,
            ["server.data_dir", "server.listen", "server.public_url"]
        );
    }
}
